/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the other ends of fuzz-room-link.c say: a function for each kind of frame writes it, as the
 * script wants it, into what is sent next. Zeros make what is well-formed and in its place. */

#include "room-user.h"

static const Person *script_person(Script *in, const Person *usual) {
        uint8_t b = script_u8(in);

        return b < 0x80 ? usual : &people[(b & 0x7f) % _PEOPLE_MAX];
}

static unsigned script_room(uint8_t how) {
        return (how & 3) % _ROOMS_MAX;
}

static void send_sync(Connection *c, const RoomSync *m) {
        int r = room_sync_encode(&c->end.out, m);

        MUST(r == 0 || r == -EINVAL || r == -EMSGSIZE);
        if (r < 0)
                return; /* nobody would take it */
        c->n_frames++;
        c->n_wants += m->op == ROOM_SYNC_WANT;
        c->n_asks += m->op == ROOM_SYNC_ASK;
        claimed |= m->op == ROOM_SYNC_VECTOR || m->op == ROOM_SYNC_STATE;
}

static RoomSync *sync_of(RoomSyncOp op, unsigned room) {
        static RoomSync m;

        memset(&m, 0, sizeof(m));
        m.op = op;
        if (op != ROOM_SYNC_ASK && op != ROOM_SYNC_OFFER)
                memcpy(m.room, chats[room].id, ROOM_ID_SIZE);
        return &m;
}

/* Certificates of all who might have signed, or of one who has not. */
static void add_certificates(RoomObjects *o, uint8_t how) {
        for (unsigned i = 0; i < _PEOPLE_MAX && !(how & 1); i++)
                o->certificates[o->n_certificates++] = people[i].local.certificate;
        if (how & 2)
                o->certificates[o->n_certificates++] = people[FRANK].local.record;
}

/* The control log */

static void script_head(Script *in, const Person *who, FeedHead *ret, unsigned room) {
        uint8_t how = script_u8(in);

        *ret = (FeedHead){.epoch = who->epoch, .seq = chats[room].heads[number_of(who)].seq};
        memcpy(ret->device, sign_key_public(&who->device), KEY_SIZE);
        memcpy(ret->hash, chats[room].heads[number_of(who)].hash, SHA256_SIZE);
        if (how & 1)
                ret->seq = script_number(in);
        if (how & 2)
                ret->hash[0] ^= script_u8(in);
        if (how & 4)
                ret->epoch = script_u8(in);
        ret->seq = CLAMP(ret->seq, UINT64_C(1), SEQ_MAX);
}

static RoomChange script_change(Script *in, unsigned room) {
        static const RoomChangeType types[] = {ROOM_CHANGE_TOPIC, ROOM_CHANGE_ADD,
                ROOM_CHANGE_REMOVE, ROOM_CHANGE_ROLE, ROOM_CHANGE_INVITE, ROOM_CHANGE_LEAVE,
                ROOM_CHANGE_OFFER, ROOM_CHANGE_DELETE, ROOM_CHANGE_CREATE};
        static const char *const topics[] = {"roses", "thorns", "", "pears"};
        uint8_t how = script_u8(in), target = how >> 4 & 7;
        RoomChangeType type = types[(how & 15) % ELEMENTSOF(types)];
        bool named = type != ROOM_CHANGE_TOPIC && type != ROOM_CHANGE_DELETE &&
                type != ROOM_CHANGE_CREATE;
        RoomChange c = change_of(type, named ? target % _TARGET_MAX : _TARGET_MAX);

        if (type == ROOM_CHANGE_TOPIC)
                c.text = text_bytes(topics[target % ELEMENTSOF(topics)]);
        if (type == ROOM_CHANGE_ROLE)
                c.role = script_u8(in) % _ROOM_ROLE_MAX ?: ROOM_ROLE_ADMIN;
        if (type == ROOM_CHANGE_CREATE) {
                c.text = text_bytes("tea");
                memcpy(c.nonce, chats[room].nonce, ROOM_NONCE_SIZE);
                c.access = ROOM_ACCESS_OPEN + target % 3;
                c.history = ROOM_HISTORY_ALL + target % 2;
        }
        if (how & 0x80 && target < _PEOPLE_MAX)
                script_head(in, &people[target], &c.heads[c.n_heads++], room);
        return c;
}

/* Settles the last proposals, and does what they propose. */
static void script_settled(Script *in, RoomBlock *b, unsigned room) {
        uint8_t how = script_u8(in);
        RoomProposal p;

        for (size_t i = 0; i < (how & 7U) + 1 && i < n_proposals; i++) {
                const Made *m = &proposals[n_proposals - 1 - i];

                if (b->n_changes == ROOM_CHANGES_MAX || m->room != room ||
                        room_proposal_parse(buffer_bytes(&m->bytes), &p) < 0)
                        continue;
                memcpy(b->settled[b->n_settled++], m->hash, SHA256_SIZE);
                if (!(how & 8))
                        b->changes[b->n_changes++] = p.change;
        }
}

/* In the name of somebody, or of an account alone. */
static void script_name(
        Script *in, uint8_t *account, uint64_t *epoch, uint8_t device[static KEY_SIZE]) {
        uint8_t who = script_u8(in);

        memcpy(account, account_of((who & 0x7f) % _TARGET_MAX), KEY_SIZE);
        if (who & 0x80 || who >= _PEOPLE_MAX)
                return;
        *epoch = people[who].epoch;
        memcpy(device, sign_key_public(&people[who].device), KEY_SIZE);
}

/* Bits that put something into a block that is not as it should be. */
static void script_alter_block(Script *in, RoomBlock *b) {
        uint8_t how = script_u8(in);

        if (how & 1)
                b->term += 1 + script_u8(in) % 3;
        if (how & 2)
                b->epoch = script_number(in);
        if (how & 4)
                b->prev[0] ^= script_u8(in);
        if (how & 8)
                b->sent -= 8 * USEC_PER_DAY;
        if (how & 16)
                b->hlc += script_number(in) << 16;
        if (how & 32)
                b->device_epoch = script_u8(in);
        if (how & 64)
                script_name(in, b->account, &b->device_epoch, b->device);
        if (how & 128)
                b->room[0] ^= 1;
}

static void send_blocks(
        Connection *c, unsigned room, const Made *const *list, size_t n, uint8_t how) {
        RoomSync *m = sync_of(ROOM_SYNC_CONTROL, room);

        for (size_t i = 0; i < n && i < ROOM_SYNC_OBJECTS_MAX; i++)
                m->objects.objects[m->objects.n_objects++] = buffer_bytes(&list[i]->bytes);
        add_certificates(&m->objects, how);
        send_sync(c, m);
}

/* After a block that was made, or one that the user has, by its epoch. */
static void script_before(Script *in, unsigned room, RoomBlock *b) {
        static RoomBlock held;
        uint8_t which = script_u8(in);
        const Made *before = &blocks[which % n_blocks];
        const Room *here = room_here(room);
        Bytes outer;

        if (which < 0x80) {
                b->epoch = before->epoch + 1;
                b->term = before->term;
                memcpy(b->prev, before->hash, SHA256_SIZE);
        } else if (here &&
                room_block_get(store_write(bob.store), here->row.number, which & 0x7f, &outer) >
                        0) {
                MUST(room_block_parse(outer, &held) == 0);
                b->epoch = held.epoch + 1;
                b->term = held.term;
                memcpy(b->prev, held.hash, SHA256_SIZE);
        }
}

/* The next block, or one beside any that there is. */
static void tell_block(Script *in, Connection *c) {
        static RoomBlock b;
        uint8_t how = script_u8(in), more = script_u8(in);
        unsigned room = script_room(how);
        const Person *by = how & 4 ? script_person(in, c->who) : owner_of(room);
        const Made *m;

        block_begin(room, by, &b);
        if (how & 8)
                script_before(in, room, &b);
        if (how & 16)
                script_settled(in, &b, room);
        for (unsigned i = 0; i < (more & 3U) + !(how & 16); i++)
                b.changes[b.n_changes++] = script_change(in, room);
        if (how & 32)
                script_alter_block(in, &b);
        m = make_block(room, &b, by, !(how & 64));
        if (!m)
                return;
        make_tip(m);
        if (!(how & 128))
                send_blocks(c, room, &m, 1, more >> 2);
}

/* Beside the block N, with another topic: what only a forger or a fork does. */
static void tell_fork_of_log(Script *in, Connection *c) {
        static RoomBlock b;
        uint8_t which = script_u8(in), how = script_u8(in);
        const Made *beside = &blocks[which % n_blocks], *m;
        const Person *by = how & 1 ? script_person(in, c->who) : beside->by;
        static const char *const topics[] = {"one", "two", "three", "four"};
        bool has_key = beside->has_key;
        unsigned room = beside->room;

        MUST(room_block_parse(buffer_bytes(&beside->bytes), &b) == 0);
        memcpy(b.account, person_account(by), KEY_SIZE);
        memcpy(b.device, sign_key_public(&by->device), KEY_SIZE);
        b.device_epoch = by->epoch;
        if (b.epoch > 1 && b.n_changes < ROOM_CHANGES_MAX) {
                RoomChange topic = change_of(ROOM_CHANGE_TOPIC, _TARGET_MAX);

                topic.text = text_bytes(topics[how >> 6]);
                b.changes[b.n_changes++] = topic;
        } else
                b.sent += how;
        b.term += how >> 1 & 1;
        if (how & 4)
                b.sent = loop_realtime(sim.loop);
        m = make_block(room, &b, by, has_key);
        if (m && how & 8)
                make_tip(m);
        if (m)
                send_blocks(c, room, &m, 1, 0);
}

static void send_proposals(Connection *c, unsigned room, const Made *list, size_t n, uint8_t how) {
        RoomSync *m = sync_of(ROOM_SYNC_PROPOSALS, room);

        for (size_t i = 0; i < n && i < ROOM_SYNC_OBJECTS_MAX; i++)
                m->objects.objects[m->objects.n_objects++] = buffer_bytes(&list[i].bytes);
        add_certificates(&m->objects, how);
        send_sync(c, m);
}

static const Made *make_proposal(Script *in, const Person *by, uint8_t how) {
        unsigned room = script_room(how);
        Made *m = &proposals[n_proposals];
        RoomProposal p = {.head = *tip_of(room),
                .device_epoch = by->epoch,
                .hlc = now_hlc() + (uint64_t)n_proposals % 64,
                .sent = loop_realtime(sim.loop),
                .change = script_change(in, room)};

        if (n_proposals == PROPOSALS_MAX)
                return NULL;
        memcpy(p.room, chats[room].id, ROOM_ID_SIZE);
        memcpy(p.account, person_account(by), KEY_SIZE);
        memcpy(p.device, sign_key_public(&by->device), KEY_SIZE);
        if (how & 8)
                p.head.epoch = script_number(in);
        if (how & 16)
                p.hlc = script_number(in) << 16;
        if (how & 32)
                script_name(in, p.account, &p.device_epoch, p.device);
        if (how & 64)
                p.sent += script_u8(in) * USEC_PER_DAY;
        buffer_clear(&m->bytes);
        if (room_proposal_encode(&m->bytes, &p, &by->device, m->hash) < 0)
                return NULL;
        m->room = room;
        m->by = by;
        m->proven = key_equal(p.account, person_account(by)) &&
                key_equal(p.device, sign_key_public(&by->device));
        n_proposals++;
        return m;
}

static void tell_proposal(Script *in, Connection *c) {
        uint8_t how = script_u8(in);
        const Person *by = how & 4 ? script_person(in, c->who) : c->who;
        const Made *m = make_proposal(in, by, how);

        if (m && !(how & 128))
                send_proposals(c, m->room, m, 1, 0);
}

/* Entries */

/* The key that is in force at the head. False: nobody here knows it. */
static bool key_at(unsigned room, uint64_t epoch, uint8_t ret[static ROOM_KEY_SIZE]) {
        for (size_t i = n_blocks; i-- > 0;)
                if (blocks[i].room == room && blocks[i].has_key && blocks[i].epoch <= epoch) {
                        block_key(i, ret);
                        return true;
                }
        return false;
}

/* Each bit of HOW changes a field of it. */
static Inner script_inner(Script *in, const Person *author, unsigned room, uint8_t how) {
        usec_t now = loop_realtime(sim.loop);
        unsigned number = number_of(author);
        Inner m = {.epoch = author->epoch,
                .seq = chats[room].heads[number].seq + 1,
                .hlc = now_hlc() + n_said % 64,
                .sent = now,
                .expires = now + ROOM_ENTRY_EXPIRES,
                .kind = KIND_TEXT,
                .body = text_bytes("nothing that anybody has sealed")};

        m.id.bytes[0] = (uint8_t)(n_said + 1);
        m.id.bytes[1] = (uint8_t)((n_said + 1) >> 8);
        m.id.bytes[2] = (uint8_t)number;
        memcpy(m.prev, chats[room].heads[number].hash, SHA256_SIZE);
        memcpy(m.account, person_account(author), KEY_SIZE);
        memcpy(m.device, sign_key_public(&author->device), KEY_SIZE);
        memcpy(m.conversation, chats[room].id, ROOM_ID_SIZE);
        if (how & 4)
                m.seq = script_number(in);
        if (how & 8)
                memset(m.prev, script_u8(in), SHA256_SIZE);
        if (how & 16 && n_said > 0) /* once more in the place of another */
                m.id = said[script_u8(in) % n_said].id;
        if (how & 32)
                m.hlc = script_number(in) << 16;
        if (how & 64) {
                uint8_t more = script_u8(in);

                if (more & 1)
                        m.epoch = script_u8(in);
                if (more & 2)
                        memcpy(m.account, account_of(script_u8(in) % _TARGET_MAX), KEY_SIZE);
                if (more & 4)
                        m.conversation[0] ^= 1;
                if (more & 8)
                        m.kind = script_u8(in);
                if (more & 16)
                        m.sent += script_u8(in) * USEC_PER_DAY;
                if (more & 32)
                        m.body = script_bytes(in);
        }
        m.seq = CLAMP(m.seq, UINT64_C(1), SEQ_MAX);
        m.expires = MAX(m.expires, m.sent);
        return m;
}

/* NULL where it cannot be written. */
static Said *make_entry(Script *in, const Person *author, unsigned room, uint8_t how) {
        _cleanup_(buffer_done) Buffer head = BUFFER_NULL, body = BUFFER_NULL;
        Said *s = &said[n_said];
        RoomHead at = *tip_of(room);
        uint8_t key[ROOM_KEY_SIZE];
        Inner m;

        if (n_said == SAID_MAX)
                return NULL;
        m = script_inner(in, author, room, how);
        if (how & 128)
                at.epoch = script_number(in);
        if (room_head_encode(&head, &at) < 0)
                return NULL;
        m.control_head = buffer_bytes(&head);
        if (!(how & 64) && key_at(room, at.epoch, key) &&
                room_entry_seal(key, &m, text_bytes("hello"), &body) == 0)
                m.body = buffer_bytes(&body);
        buffer_clear(&s->bytes);
        if (inner_encode(&s->bytes, &m) < 0)
                return NULL;
        s->author = author;
        s->room = room;
        s->id = m.id;
        s->seq = m.seq;
        s->at = room_position(&m);
        s->shown = false;
        s->proven = false;
        s->authentic = m.epoch == author->epoch && key_equal(m.account, person_account(author));
        sha256(buffer_data(&s->bytes), buffer_size(&s->bytes), s->hash);
        MUST(room_entry_sign(&author->device, &s->at, s->hash, s->signature) == 0);
        chats[room].heads[number_of(author)].seq = m.seq;
        memcpy(chats[room].heads[number_of(author)].hash, s->hash, SHA256_SIZE);
        n_said++;
        return s;
}

/* HOW: without certificates, with another's signature, done. */
static void send_entries(Connection *c, unsigned room, Said *const *list, size_t n, uint8_t how) {
        static RoomEntries e;
        int r;

        memset(&e, 0, sizeof(e));
        memcpy(e.room, chats[room].id, ROOM_ID_SIZE);
        for (size_t i = 0; i < n && i < ROOM_ENTRIES_MAX; i++) {
                Said *s = list[i];
                const Said *signer = how & 2 ? &said[0] : s;

                e.items[e.n_items++] = (RoomEntriesItem){.inner = buffer_bytes(&s->bytes),
                        .signature = signer->signature,
                        .certificate =
                                how & 1 ? c->who->local.certificate : s->author->local.certificate};
                s->proven |= s->authentic && signer == s;
        }
        e.done = how & 4;
        r = room_entries_encode(&c->end.out, &e);
        MUST(r == 0 || r == -EINVAL || r == -EMSGSIZE);
        c->n_frames += r == 0;
}

static void tell_entry(Script *in, Connection *c) {
        uint8_t how = script_u8(in), more = script_u8(in), n = more >> 4;
        unsigned room = script_room(how);
        const Person *author = more & 8 ? script_person(in, c->who) : c->who;
        Said *list[16];
        size_t made = 0;

        for (unsigned i = 0; i <= n; i++) {
                Said *s = make_entry(in, author, room, i == 0 ? how : 0);

                if (s)
                        list[made++] = s;
        }
        if (made > 0)
                send_entries(c, room, list, made, more & 7);
}

/* What was made before: all kinds, some of each, in any order. */
static void tell_again(Script *in, Connection *c) {
        uint8_t how = script_u8(in), first = script_u8(in), n = script_u8(in) % 32;
        unsigned room = script_room(how), kind = how >> 2 & 3;
        const Made *list[33];
        Said *entries[33];
        size_t k = 0;

        for (unsigned i = 0; i <= n; i++) {
                size_t at = how & 16 ? first - i : first + i;

                if (kind == 0 && at < n_blocks && blocks[at].room == room)
                        list[k++] = &blocks[at];
                else if (kind == 1 && at < n_proposals && proposals[at].room == room)
                        send_proposals(c, room, &proposals[at], 1, how >> 5);
                else if (kind >= 2 && at < n_said && said[at].room == room)
                        entries[k++] = &said[at];
        }
        if (kind == 0 && k > 0)
                send_blocks(c, room, list, k, how >> 5);
        else if (kind >= 2 && (k > 0 || how & 128))
                send_entries(c, room, entries, k, how >> 5);
}

/* What each has */

/* As the user has it, but for what the bits of HOW change. */
static void tell_state(Script *in, Connection *c) {
        uint8_t how = script_u8(in);
        unsigned room = script_room(how);
        RoomSync *m = sync_of(ROOM_SYNC_STATE, room);
        const Room *here = room_here(room);

        if (here) {
                m->state.head.epoch = room_head(here, m->state.head.hash);
                memcpy(m->state.proposals, here->row.proposals_digest, ROOM_DIGEST_SIZE);
                memcpy(m->state.feeds, here->row.feeds_digest, ROOM_DIGEST_SIZE);
                memcpy(m->state.forks, here->row.forks_digest, ROOM_DIGEST_SIZE);
        }
        if (how & 4)
                m->state.head = chats[room].tip;
        if (how & 8)
                m->state.proposals[0] ^= script_u8(in) | 1;
        if (how & 16)
                m->state.feeds[0] ^= script_u8(in) | 1;
        if (how & 32)
                m->state.forks[0] ^= script_u8(in) | 1;
        if (how & 64)
                m->state.head.epoch = script_number(in);
        if (how & 128)
                m->state.head.hash[0] ^= 1;
        send_sync(c, m);
}

static void tag_of(unsigned who, uint8_t ret[static ROOM_TAG_SIZE]) {
        if (who < _PEOPLE_MAX)
                room_feed_tag(account_of(who), people[who].epoch,
                        sign_key_public(&people[who].device), ret);
        else
                room_feed_tag(account_of(BOB), who == BOB ? bob.self.epoch : 9,
                        sign_key_public(&bob.self.device), ret);
}

/* The own feed of the user as it is on disk. */
static uint64_t own_head(unsigned room, uint8_t hash[static 8]) {
        const Room *here = room_here(room);
        uint8_t tag[ROOM_TAG_SIZE];
        RoomFeed f;

        tag_of(BOB, tag);
        if (!here || room_feed_find_tag(store_write(bob.store), here->row.number, tag, &f) <= 0)
                return 0;
        memcpy(hash, f.feed.hash, 8);
        return f.feed.seq;
}

/* An item for each bit of WHO. */
static void script_items(Script *in, unsigned room, Buffer *out, bool vector) {
        uint8_t who = script_u8(in), how = script_u8(in);

        for (unsigned i = 0; i < 8; i++) {
                RoomVectorItem x = {};
                RoomWantItem y;

                if (!(who & 1U << i))
                        continue;
                tag_of(i, x.tag);
                if (i < _PEOPLE_MAX) {
                        x.seq = vector ? chats[room].heads[i].seq : 0;
                        memcpy(x.hash, chats[room].heads[i].hash, sizeof(x.hash));
                } else if (i == BOB)
                        x.seq = own_head(room, x.hash);
                if (how & 1)
                        x.seq = script_number(in);
                if (how & 2)
                        x.hash[0] ^= script_u8(in);
                if (how & 4)
                        x.tag[0] ^= 1;
                if (x.seq == 0)
                        memset(x.hash, 0, sizeof(x.hash));
                y.seq = x.seq;
                memcpy(y.tag, x.tag, ROOM_TAG_SIZE);
                MUST((vector ? room_vector_append(out, &x) : room_want_append(out, &y)) == 0);
        }
}

static void tell_vector(Script *in, Connection *c) {
        _cleanup_(buffer_done) Buffer items = BUFFER_NULL, read = BUFFER_NULL;
        uint8_t how = script_u8(in);
        unsigned room = script_room(how);
        RoomSync *m = sync_of(ROOM_SYNC_VECTOR, room);

        script_items(in, room, &items, true);
        if (how & 4)
                script_items(in, room, &read, false);
        m->vector = (RoomVector){.items = buffer_bytes(&items),
                .full = !(how & 8),
                .more = how & 16,
                .read = buffer_bytes(&read)};
        send_sync(c, m);
}

static void tell_want(Script *in, Connection *c) {
        _cleanup_(buffer_done) Buffer feeds = BUFFER_NULL, entries = BUFFER_NULL;
        uint8_t how = script_u8(in);
        unsigned room = script_room(how);
        RoomSync *m = sync_of(ROOM_SYNC_WANT, room);
        RoomWant *w = &m->want;

        script_items(in, room, &feeds, false);
        if (how & 4)
                script_items(in, room, &entries, false);
        w->feeds = buffer_bytes(&feeds);
        w->entries = buffer_bytes(&entries);
        w->has_control = how & 8;
        if (how & 16)
                w->control = chats[room].tip;
        for (unsigned i = 0; how & 32 && i < 1 + (unsigned)(how >> 7); i++)
                w->keys[w->n_keys++] = script_u8(in) + i * 256;
        for (unsigned i = 0; how & 64 && i < _TARGET_MAX; i++)
                memcpy(w->accounts[w->n_accounts++], account_of(i), KEY_SIZE);
        w->proposals = w->forks = how & 128;
        send_sync(c, m);
}
