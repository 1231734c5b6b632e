/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the user's end says, held against what is on disk and against who may know it; and others
 * who give what they are asked for. */

#include "room-objects.h"

/* What was on its way to somebody who has just been removed. */
#define GRACE (100 * USEC_PER_MSEC)

static bool is_member_now(const Connection *c, unsigned room) {
        usec_t at = chats[room].member_at[number_of(c->who)];

        return at > 0 && at + GRACE >= loop_now(sim.loop);
}

static bool may_hear(const Connection *c, unsigned room) {
        const Chat *chat = &chats[room];
        unsigned n = number_of(c->who);

        return chat->known[n] || chat->asked[n];
}

/* Then he tells others no more than they may know. */
static bool user_is_in(unsigned room) {
        const Room *here = room_here(room);

        return here && room_is_joined(here);
}

/* It was on disk, all of it together; or it is what somebody else may know of it. */
static void hear_state(const Connection *c, unsigned room, const RoomState *s) {
        const Chat *chat = &chats[room];
        bool bare = bytes_are_zero(s->feeds, ROOM_DIGEST_SIZE) &&
                bytes_are_zero(s->forks, ROOM_DIGEST_SIZE);
        bool open = is_member_now(c, room) || !user_is_in(room);
        uint64_t last;

        if (!open) {
                last = roster_concerned(room_here(room)->roster, person_account(c->who));
                MUST(bare && s->head.epoch <= last);
                return;
        }
        for (size_t i = chat->n_states; i-- > 0;)
                if (states_equal(&chat->states[i], s))
                        return;
        MUST(bare || chat->n_states == STATES_MAX);
}

/* Nobody else's coming and going after he was removed. */
static void hear_control(const Connection *c, unsigned room, const RoomObjects *o) {
        static RoomBlock b;
        uint64_t last;

        for (size_t i = 0; i < o->n_objects; i++) {
                MUST(room_block_decode(o->objects[i], &b) == 0);
                MUST(find_made(blocks, n_blocks, b.hash) || is_own_device(b.device));
                if (is_member_now(c, room) || !user_is_in(room))
                        continue;
                last = roster_concerned(room_here(room)->roster, person_account(c->who));
                MUST(b.epoch <= last);
        }
}

static void hear_proposals(const Connection *c, unsigned room, const RoomObjects *o) {
        RoomProposal p;

        for (size_t i = 0; i < o->n_objects; i++) {
                MUST(room_proposal_decode(o->objects[i], &p) == 0);
                MUST(find_made(proposals, n_proposals, p.hash) || is_own_device(p.device));
        }
}

/* What he says that he has is on disk; or was, until it had to go. */
static void hear_vector(const Connection *c, unsigned room, const RoomVector *v) {
        DbTxn *txn = look();
        RoomRow row;

        MUST(is_member_now(c, room) && room_find(txn, chats[room].id, &row) == 1);
        for (size_t i = 0; i < room_vector_count(v->items); i++) {
                RoomVectorItem x = room_vector_get(v->items, i);
                uint8_t hash[SHA256_SIZE];
                RoomFeed f;
                Entry e;

                MUST(room_feed_find_tag(txn, row.number, x.tag, &f) == 1);
                if (x.seq == 0)
                        continue;
                if (entry_get(txn, f.feed.number, x.seq, &e) > 0) {
                        sha256(e.inner.data, e.inner.size, hash);
                        if (memcmp(hash, x.hash, sizeof(x.hash)) == 0)
                                continue;
                }
                MUST(f.change > 0 && f.feed.seq < x.seq); /* cut */
        }
        for (size_t i = 0; i < room_want_count(v->read); i++) {
                RoomWantItem x = room_want_get(v->read, i);
                RoomFeed f;

                MUST(room_feed_find_tag(txn, row.number, x.tag, &f) == 1 && x.seq > 0);
        }
        store_read_end(txn);
}

static void hear_wraps(const Connection *c, unsigned room, const RoomObjects *o) {
        for (size_t i = 0; i < o->n_objects; i++) {
                RoomWrap w;

                MUST(room_wrap_decode(o->objects[i], &w) == 0);
                MUST(key_equal(w.account, person_account(c->who)));
                MUST(!user_is_in(room) || !is_member_now(c, room) ||
                        roster_entitled(room_here(room)->roster, person_account(c->who), w.epoch));
        }
}

static void hear_join(const Connection *c, unsigned room, const RoomJoin *j) {
        Record rec;

        MUST(may_hear(c, room) && record_decode(j->record, &rec) == 0);
        MUST(key_equal(rec.account, account_of(BOB)));
}

static void hear_offer(Connection *c, const RoomOffer *o) {
        MUST(c->scripted || ++c->n_offers <= c->n_asks);
        for (size_t i = 0; i < o->n_rooms; i++) {
                unsigned room = find_chat(o->rooms[i].room);

                MUST(room < _ROOMS_MAX && o->rooms[i].access != ROOM_ACCESS_HIDDEN);
                MUST(o->rooms[i].access == ROOM_ACCESS_OPEN ||
                        (may_hear(c, room) && o->rooms[i].topic.size == 0));
        }
}

/* Others who give what they are asked for, as far as they have it. */
static void serve_want(Connection *c, unsigned room, const RoomWant *w) {
        for (size_t i = 0; w->has_control && i < n_blocks; i++) {
                const Made *m = &blocks[i];

                if (m->room == room && m->epoch > w->control.epoch)
                        send_blocks(c, room, &m, 1, 0);
        }
        for (size_t i = 0; w->proposals && i < n_proposals; i++)
                if (proposals[i].room == room)
                        send_proposals(c, room, &proposals[i], 1, 0);
        if (w->n_keys > 0)
                tell_wraps(&(Script){.p = (const uint8_t[]){(uint8_t)room},
                                   .end = (const uint8_t[]){(uint8_t)room} + 1},
                        c);
        if (w->n_accounts > 0)
                tell_records(&(Script){}, c);
        for (size_t k = 0; k < room_want_count(w->feeds); k++)
                for (size_t i = 0; i < n_said; i++) {
                        RoomWantItem x = room_want_get(w->feeds, k);
                        uint8_t tag[ROOM_TAG_SIZE];
                        Said *s = &said[i];

                        tag_of(number_of(s->author), tag);
                        if (s->room == room && s->seq > x.seq &&
                                memcmp(tag, x.tag, ROOM_TAG_SIZE) == 0)
                                send_entries(c, room, &s, 1, 0);
                }
        send_entries(c, room, NULL, 0, 4);
}

static void hear_want(Connection *c, unsigned room, const RoomWant *w) {
        MUST(may_hear(c, room));
        MUST(room_want_count(w->feeds) <= WANT_FEEDS_MAX);
        if (c->serves)
                serve_want(c, room, w);
}

static void hear_objects(const Connection *c, const RoomSync *m, unsigned room) {
        RoomFork f;

        switch (m->op) {
        case ROOM_SYNC_CONTROL:
                hear_control(c, room, &m->objects);
                break;
        case ROOM_SYNC_PROPOSALS:
                hear_proposals(c, room, &m->objects);
                break;
        case ROOM_SYNC_WRAPS:
                MUST(is_member_now(c, room));
                hear_wraps(c, room, &m->objects);
                break;
        case ROOM_SYNC_FORK:
                MUST(is_member_now(c, room));
                for (size_t i = 0; i < m->objects.n_objects; i++)
                        MUST(room_fork_decode(m->objects.objects[i], &f) == 0);
                break;
        default:
                MUST(m->op == ROOM_SYNC_RECORDS && is_member_now(c, room));
                break;
        }
}

static void hear_sync(Connection *c, Frame *f) {
        static RoomSync m;
        unsigned room;

        MUST(room_sync_decode(f, &m) == 0);
        room = m.op == ROOM_SYNC_ASK || m.op == ROOM_SYNC_OFFER ? 0 : find_chat(m.room);
        if (m.op == ROOM_SYNC_REFUSED) {
                MUST(c->scripted || ++c->n_refused <= c->n_frames);
                MUST(m.refused.code < _CODE_MAX && m.refused.text.size > 10);
                return;
        }
        MUST(room < _ROOMS_MAX);
        switch (m.op) {
        case ROOM_SYNC_STATE:
                MUST(may_hear(c, room));
                hear_state(c, room, &m.state);
                break;
        case ROOM_SYNC_VECTOR:
                hear_vector(c, room, &m.vector);
                break;
        case ROOM_SYNC_WANT:
                hear_want(c, room, &m.want);
                break;
        case ROOM_SYNC_JOIN:
                hear_join(c, room, &m.join);
                break;
        case ROOM_SYNC_ASK:
                MUST(n_asks > 0);
                break;
        case ROOM_SYNC_OFFER:
                hear_offer(c, &m.offer);
                break;
        case ROOM_SYNC_NOTICE:
                check_notice(m.notice, person_account(c->who));
                break;
        case ROOM_SYNC_TYPING:
                MUST(is_member_now(c, room));
                break;
        default:
                MUST(may_hear(c, room));
                hear_objects(c, &m, room);
                break;
        }
}

/* Entries are on disk, or were, and go to members only; each answer ends once. */
static void hear_entries(Connection *c, Frame *f) {
        static RoomEntries e;
        unsigned room;

        MUST(room_entries_decode(f, &e) == 0);
        room = find_chat(e.room);
        MUST(room < _ROOMS_MAX && may_hear(c, room));
        MUST(e.n_items == 0 || is_member_now(c, room));
        for (size_t i = 0; i < e.n_items; i++) {
                uint8_t hash[SHA256_SIZE];
                Inner m;

                MUST(inner_decode(e.items[i].inner, &m) == 0);
                sha256(e.items[i].inner.data, e.items[i].inner.size, hash);
                MUST(find_said(hash) || is_own_device(m.device));
        }
        if (e.done)
                MUST(c->scripted || ++c->n_done <= c->n_wants + c->n_frames);
}

static void hear_frame(Connection *c, Frame *f) {
        Bytes object, certificate;
        HelloOk ok;
        Grant grant;
        Refusal x;

        MUST(!c->heard_bye);
        switch (f->type) {
        case FRAME_ROOM_SYNC:
                MUST(!c->mute);
                hear_sync(c, f);
                break;
        case FRAME_ROOM_ENTRIES:
                MUST(!c->mute);
                hear_entries(c, f);
                break;
        case FRAME_HELLO_OK:
                MUST(hello_ok_decode(f, &ok) == 0);
                break;
        case FRAME_GRANT:
                MUST(grant_decode(f, &grant) == 0);
                break;
        case FRAME_RECEIPT:
                MUST(receipt_frame_decode(f, &object, &certificate) == 0);
                break;
        case FRAME_BYE:
                MUST(refusal_decode(f, &x) == 0 && x.code < _CODE_MAX);
                c->heard_bye = true;
                break;
        case FRAME_PING:
                MUST(frame_put_empty(&c->end.out, FRAME_PONG, f->request) == 0);
                break;
        default:
                MUST(f->type == FRAME_HELLO || f->type == FRAME_PONG || f->type == FRAME_ANNOUNCE ||
                        f->type == FRAME_ACK || f->type == FRAME_NACK || f->type == FRAME_VOID);
        }
}
