/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Once more of what others say: keys, proofs, records and notices, joining, and too much of all. */

#include "room-says.h"

/* Keys */

static void send_wraps(Connection *c, unsigned room, const Buffer *list, size_t n) {
        RoomSync *m = sync_of(ROOM_SYNC_WRAPS, room);

        for (size_t i = 0; i < n && i < ROOM_SYNC_OBJECTS_MAX; i++)
                m->objects.objects[m->objects.n_objects++] = buffer_bytes(&list[i]);
        send_sync(c, m);
}

/* The keys of all blocks of a room, for the user or another, right or not. */
static void tell_wraps(Script *in, Connection *c) {
        uint8_t how = script_u8(in);
        unsigned room = script_room(how), to = how & 4 ? script_u8(in) % _PEOPLE_MAX : BOB;
        Buffer list[8] = {};
        size_t n = 0;

        for (size_t i = n_blocks; i-- > 0 && n < ELEMENTSOF(list);) {
                uint64_t epoch = blocks[i].epoch;
                uint8_t key[ROOM_KEY_SIZE];

                if (blocks[i].room != room || n_costly > COSTLY_MAX * 4)
                        continue;
                block_key(i, key);
                key[0] ^= how >> 3 & 1;
                if (how & 16)
                        epoch = script_number(in) + 1;
                n_costly++;
                MUST(make_wrap(how & 32 ? CAVE : room, epoch, to, key, &list[n]) == 0);
                if (how & 64) /* for a prekey that there is not */
                        list[n].data[list[n].end - 1] ^= 1;
                n++;
                if (how & 128)
                        break;
        }
        if (n > 0)
                send_wraps(c, room, list, n);
        for (size_t i = 0; i < n; i++)
                buffer_done(&list[i]);
}

/* Proofs of forks */

/* Of two entries in one place, where there are such, or of one and what nobody has written. */
static void tell_fork(Script *in, Connection *c) {
        uint8_t how = script_u8(in), which = script_u8(in);
        unsigned room = script_room(how);
        RoomSync *m = sync_of(ROOM_SYNC_FORK, room);
        Buffer *proof = &forks[n_forks];
        RoomFork f = {};
        Said *s;

        if (n_said == 0 || n_forks == FORKS_MAX)
                return;
        s = &said[which % n_said];
        f.at = s->at;
        memcpy(f.entry[0].hash, s->hash, SHA256_SIZE);
        memset(f.entry[1].hash, how & 4 ? 0xff : 0, SHA256_SIZE);
        for (size_t i = 0; i < n_said; i++)
                if (memcmp(&said[i].at, &s->at, sizeof(s->at)) == 0 && &said[i] != s)
                        memcpy(f.entry[1].hash, said[i].hash, SHA256_SIZE);
        if (how & 8)
                f.at.seq = CLAMP(script_number(in), UINT64_C(1), SEQ_MAX);
        for (unsigned i = 0; i < 2; i++) {
                const Person *by = how & 16U << i ? script_person(in, c->who) : s->author;

                MUST(room_entry_sign(&by->device, &f.at, f.entry[i].hash, f.entry[i].signature) ==
                        0);
                f.entry[i].certificate = by->local.certificate;
        }
        buffer_clear(proof);
        if (room_fork_encode(proof, &f) < 0)
                return;
        if (how & 64)
                proof->data[proof->end - 1] ^= 1;
        n_forks++;
        m->objects.objects[m->objects.n_objects++] = buffer_bytes(proof);
        send_sync(c, m);
}

static void tell_records(Script *in, Connection *c) {
        uint8_t how = script_u8(in), who = script_u8(in);
        RoomSync *m = sync_of(ROOM_SYNC_RECORDS, script_room(how));

        for (unsigned i = 0; i < _PEOPLE_MAX; i++)
                if (!(who & 1U << i))
                        m->objects.objects[m->objects.n_objects++] = people[i].local.record;
        if (who & 0x40)
                m->objects.objects[m->objects.n_objects++] = bob.who.local.record;
        if (who & 0x80)
                m->objects.objects[m->objects.n_objects++] = text_bytes("no record");
        send_sync(c, m);
}

static void tell_join(Script *in, Connection *c) {
        uint8_t how = script_u8(in);
        unsigned room = script_room(how);
        RoomSync *m = sync_of(ROOM_SYNC_JOIN, room);
        const Person *as = how & 4 ? script_person(in, c->who) : c->who;

        snprintf(m->join.name, sizeof(m->join.name), "%s", as->name);
        m->join.record = as->local.record;
        if (how & 8)
                script_head(in, as, &m->join.heads[m->join.n_heads++], room);
        send_sync(c, m);
}

static void tell_refused(Script *in, Connection *c) {
        uint8_t how = script_u8(in), code = script_u8(in);
        RoomSync *m = sync_of(ROOM_SYNC_REFUSED, script_room(how));

        m->refused.code = (Code)(1 + code % (_CODE_MAX - 1));
        m->refused.text = text_bytes("It is refused, as the script wants it.");
        send_sync(c, m);
}

static void tell_ask(Script *in, Connection *c) {
        static const char *const words[] = {"", "tea", "den", "cave", "rose"};
        uint8_t how = script_u8(in);
        RoomSync *m = sync_of(ROOM_SYNC_ASK, 0);

        if (how & 8)
                snprintf(m->ask.name, NAME_SIZE, "%s", words[1 + (how & 7) % 3]);
        else
                m->ask.words = text_bytes(words[(how & 7) % ELEMENTSOF(words)]);
        send_sync(c, m);
}

static void tell_offer(Script *in, Connection *c) {
        uint8_t how = script_u8(in);
        RoomSync *m = sync_of(ROOM_SYNC_OFFER, 0);

        for (unsigned i = 0; i < (how & 3U) + (how & 0x80 ? 40 : 0); i++) {
                RoomSummary *s = &m->offer.rooms[m->offer.n_rooms++];
                unsigned room = i % 2 ? TEA : CAVE;

                *s = (RoomSummary){.access = ROOM_ACCESS_OPEN + (how >> 2) % 3,
                        .topic = text_bytes("roses"),
                        .members = script_number(in),
                        .online = how & 32 ? script_number(in) : 1};
                memcpy(s->room, chats[room].id, ROOM_ID_SIZE);
                memcpy(s->founder, account_of(chats[room].founder), KEY_SIZE);
                memcpy(s->owner, s->founder, KEY_SIZE);
                memcpy(s->nonce, chats[room].nonce, ROOM_NONCE_SIZE);
                snprintf(s->name, sizeof(s->name), "%s", chats[room].name);
        }
        send_sync(c, m);
}

/* Notices, over the link or by mail */

static void fill_notice(Script *in, const Person *by, uint8_t how, unsigned room, RoomNotice *n) {
        uint8_t more = how & 128 ? script_u8(in) : 0;

        *n = (RoomNotice){.what = ROOM_NOTICE_INVITED + (how >> 2) % 3,
                .device_epoch = by->epoch,
                .sent = loop_realtime(sim.loop)};
        memcpy(n->room, chats[room].id, ROOM_ID_SIZE);
        snprintf(n->name, sizeof(n->name), "%s", chats[room].name);
        memcpy(n->account, person_account(by), KEY_SIZE);
        memcpy(n->device, sign_key_public(&by->device), KEY_SIZE);
        memcpy(n->to, account_of(BOB), KEY_SIZE);
        if (how & 32 && chats[room].founder != BOB) {
                n->has_founder = true;
                memcpy(n->founder, account_of(chats[room].founder), KEY_SIZE);
                memcpy(n->nonce, chats[room].nonce, ROOM_NONCE_SIZE);
        }
        if (more & 1 && n_proposals > 0) {
                const Made *m = &proposals[script_u8(in) % n_proposals];

                n->proof = buffer_bytes(&m->bytes);
                n->proof_certificate = m->by->local.certificate;
        } else if (more & 2) {
                const Made *m = &blocks[script_u8(in) % n_blocks];

                n->proof = buffer_bytes(&m->bytes);
                n->proof_certificate = m->by->local.certificate;
        }
        for (unsigned i = 0; more & 4 && i < FRANK; i++) {
                memcpy(n->members[n->n_members++], account_of(i), KEY_SIZE);
                note_asked(room, i);
        }
        note_asked(room, number_of(by)); /* who invites may be asked for more */
        if (more & 8)
                memcpy(n->to, account_of(DAVE), KEY_SIZE);
        if (more & 16)
                n->device_epoch++;
        if (more & 32)
                snprintf(n->name, sizeof(n->name), "tea");
        if (more & 64 && n->what != ROOM_NOTICE_INVITED) /* to another room: then there is one */
                n->room[0] ^= 1;
        if (more & 128)
                n->proof_certificate = (Bytes){};
}

static void tell_notice(Script *in, Connection *c) {
        _cleanup_(buffer_done) Buffer outer = BUFFER_NULL;
        static RoomNotice n;
        uint8_t how = script_u8(in);
        unsigned room = script_room(how);
        const Person *by = how & 16 ? script_person(in, c->who) : c->who;
        RoomSync *m = sync_of(ROOM_SYNC_NOTICE, room);

        fill_notice(in, by, how, room, &n);
        if (room_notice_encode(&outer, &n, &by->device) < 0)
                return;
        if (how & 64) {
                settle_batch();
                {
                        FUZZ_THEIR_MEMORY;
                        rooms_notice(rooms, buffer_bytes(&outer), by->local.record);
                }
                MUST(store_commit(bob.store) == 0 || fuzz_failed());
                return;
        }
        m->notice = buffer_bytes(&outer);
        send_sync(c, m);
}

static void tell_typing(Script *in, Connection *c) {
        uint8_t how = script_u8(in);
        RoomSync *m = sync_of(ROOM_SYNC_TYPING, script_room(how));

        m->typing = !(how & 4);
        send_sync(c, m);
}

/* Too much */

static void claim_many(Connection *c, unsigned room, unsigned n) {
        _cleanup_(buffer_done) Buffer items = BUFFER_NULL;
        RoomSync *m = sync_of(ROOM_SYNC_VECTOR, room);

        for (unsigned i = 0; i < n; i++) {
                RoomVectorItem x = {.seq = SEQ_MAX - i, .hash = {1}};

                memcpy(x.tag, &i, sizeof(i));
                MUST(room_vector_append(&items, &x) == 0);
        }
        m->vector = (RoomVector){.items = buffer_bytes(&items), .full = true};
        send_sync(c, m);
}

static void want_many(Connection *c, unsigned room) {
        _cleanup_(buffer_done) Buffer items = BUFFER_NULL;
        RoomSync *m = sync_of(ROOM_SYNC_WANT, room);

        for (unsigned i = 0; i < ROOM_WANT_FEEDS_MAX; i++) {
                RoomWantItem x = {};

                tag_of(i % 8, x.tag);
                MUST(room_want_append(&items, &x) == 0);
        }
        m->want.feeds = buffer_bytes(&items);
        for (unsigned i = 0; i < ROOM_WANT_KEYS_MAX; i++)
                m->want.keys[m->want.n_keys++] = i + 1;
        m->want.has_control = m->want.proposals = m->want.forks = true;
        send_sync(c, m);
}

/* Once in a run, as it takes long. */
static void tell_many(Script *in, Connection *c) {
        static const uint8_t topics[] = {0x00, 0x10, 0x20, 0x30};
        uint8_t how = script_u8(in);
        unsigned room = script_room(how);

        if (n_costly > 2 * COSTLY_MAX)
                return;
        n_costly += COSTLY_MAX;
        for (unsigned i = 0; i < 70; i++)
                switch (how >> 2 & 7) {
                case 0:
                        send_sync(c, sync_of(ROOM_SYNC_STATE, room));
                        break;
                case 1:
                        if (i < 4)
                                claim_many(c, room, ROOM_VECTOR_MAX);
                        break;
                case 2:
                        if (i < 4)
                                want_many(c, room);
                        break;
                case 3: {
                        Script topic = {.p = &topics[i % 4], .end = &topics[i % 4] + 1};
                        const Made *m = make_proposal(&topic, c->who, (uint8_t)room);

                        if (m)
                                send_proposals(c, room, m, 1, 0);
                        break;
                }
                case 4: {
                        Said *s = make_entry(in, c->who, room, 0);

                        if (s)
                                send_entries(c, room, &s, 1, i == 69 ? 4 : 0);
                        break;
                }
                case 5:
                        tell_join(&(Script){}, c);
                        break;
                case 6:
                        tell_ask(&(Script){}, c);
                        break;
                default:
                        tell_typing(&(Script){}, c);
                        break;
                }
}

static void tell_frame(Script *in, Connection *c) {
        uint8_t type = script_u8(in);
        Bytes body;

        if (type < 0x40) {
                (void)frame_put_empty(&c->end.out, type, script_u8(in));
                return;
        }
        c->scripted = true;
        if (type < 0xc0) {
                script_alter(in, &c->end.out, c->end.out.begin);
                return;
        }
        body = script_bytes(in);
        MUST(buffer_append(&c->end.out, body.data, body.size) == 0);
}
