/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Answers to WANT, as fast as the link takes them, and a few frames a turn. */

#include "rooms/sync.h"

#include <utlist.h>

/* Frames that one turn makes for one link. */
#define TURN_FRAMES 4

void give_done(Give *g) {
        free(g->accounts);
        buffer_done(&g->entries);
        buffer_done(&g->feeds);
        *g = (Give){};
}

/* The next one instead of the one before: who asks again does not wait for that any more. */
void give_begin(RoomLink *rl, const RoomWant *w) {
        Give g = {.stage = GIVE_CONTROL,
                .control = w->has_control,
                .proposals = w->proposals,
                .forks = w->forks,
                .n_keys = w->n_keys};
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        SyncRoom *sr = rl->sr;
        int r = 0;

        give_done(&rl->give);
        if (w->has_control && store_read_begin(sr->sync->rooms->store, &txn) >= 0 &&
                room_has_head(sr->room, txn, w->control.epoch, w->control.hash) > 0)
                g.epoch = w->control.epoch;
        if (!rl->outsider) {
                copy_bytes(g.keys, w->keys, w->n_keys * sizeof(w->keys[0]));
                g.accounts = w->n_accounts > 0 ? calloc(w->n_accounts, KEY_SIZE) : NULL;
                if (g.accounts)
                        memcpy(g.accounts, w->accounts, w->n_accounts * KEY_SIZE);
                g.n_accounts = g.accounts ? w->n_accounts : 0;
                r = buffer_append(&g.entries, w->entries.data, w->entries.size);
                if (r >= 0)
                        r = buffer_append(&g.feeds, w->feeds.data, w->feeds.size);
        } else
                g.n_keys = 0;
        rl->give = g;
        if (r < 0)
                give_done(&rl->give);
        else
                sync_due(sr, DUE_GIVE, sync_now(sr->sync));
}

void give_all(RoomLink *rl) {
        give_done(&rl->give);
        rl->give =
                (Give){.stage = GIVE_CONTROL, .control = true, .proposals = true, .all_keys = true};
        sync_due(rl->sr, DUE_GIVE, sync_now(rl->sr->sync));
}

static void give_records(RoomLink *rl, DbTxn *txn) {
        RoomSync m = {.op = ROOM_SYNC_RECORDS};
        Room *room = rl->sr->room;

        memcpy(m.room, room->row.id, SHA256_SIZE);
        for (size_t i = 0; i < rl->give.n_accounts; i++) {
                Bytes record;

                if (room_record_of(room, txn, rl->give.accounts[i], &record) <= 0 ||
                        record.size == 0)
                        continue;
                m.objects.objects[m.objects.n_objects++] = record;
                if (m.objects.n_objects == ROOM_SYNC_RECORDS_MAX)
                        break;
        }
        if (m.objects.n_objects > 0)
                (void)sync_send(rl->peer, &m);
}

static bool add_key(void *userdata, uint64_t epoch) {
        Give *g = userdata;

        g->keys[g->n_keys++] = epoch;
        return g->n_keys < ROOM_WANT_KEYS_MAX;
}

static void give_keys(RoomLink *rl, DbTxn *txn) {
        Give *g = &rl->give;

        if (g->all_keys)
                roster_each_key(rl->sr->room->roster, add_key, g);
        say_keys(rl, txn, g->keys, g->n_keys);
}

static void give_single(RoomLink *rl, DbTxn *txn) {
        Bytes wanted = buffer_bytes(&rl->give.entries);
        RoomFeed f;

        for (size_t i = 0; i < room_want_count(wanted) && i < ROOM_WANT_ENTRIES_MAX; i++) {
                RoomWantItem x = room_want_get(wanted, i);
                uint64_t seq = x.seq - 1;

                if (x.seq > 0 && room_feed_find_tag(txn, rl->sr->number, x.tag, &f) > 0)
                        (void)say_entries(&rl, 1, txn, f.feed.number, &seq, x.seq);
        }
}

/* One frame: 1, or 0 where there is nothing more. */
static int give_feeds(RoomLink *rl, DbTxn *txn) {
        Give *g = &rl->give;
        Bytes wanted = buffer_bytes(&g->feeds);
        RoomFeed f;

        while (g->at < room_want_count(wanted)) {
                RoomWantItem x = room_want_get(wanted, g->at);
                uint64_t seq = MAX(x.seq, g->seq), before = seq;
                int r = 0;

                if (room_feed_find_tag(txn, rl->sr->number, x.tag, &f) > 0 && f.feed.seq > seq)
                        r = say_entries(&rl, 1, txn, f.feed.number, &seq, f.feed.seq);
                if (r < 0)
                        return r;
                if (r > 0)
                        g->seq = seq;
                else {
                        g->at++;
                        g->seq = 0;
                }
                if (seq > before)
                        return 1;
        }
        return 0;
}

static void give_end(RoomLink *rl) {
        RoomEntries *e = calloc(1, sizeof(*e));

        if (!e)
                return;
        memcpy(e->room, rl->sr->room->row.id, SHA256_SIZE);
        e->done = true;
        (void)room_entries_encode(link_output(rl->peer->link), e);
        link_queued(rl->peer->link);
        free(e);
}

/* 1: the same stage goes on. */
static int give_stage(RoomLink *rl, DbTxn *txn) {
        Give *g = &rl->give;
        RoomState st;

        switch (g->stage) {
        case GIVE_CONTROL:
                return g->control ? say_control(rl, txn, &g->epoch) : 0;
        case GIVE_PROPOSALS:
                if (g->proposals && read_state(rl->sr, txn, &st, NULL) >= 0)
                        say_proposals(rl, txn, st.proposals);
                return 0;
        case GIVE_FORKS:
                if (g->forks && read_state(rl->sr, txn, &st, NULL) >= 0)
                        say_forks(rl, txn, st.forks);
                return 0;
        case GIVE_KEYS:
                if (g->n_keys > 0 || g->all_keys)
                        give_keys(rl, txn);
                return 0;
        case GIVE_RECORDS:
                give_records(rl, txn);
                return 0;
        case GIVE_ENTRIES:
                give_single(rl, txn);
                return 0;
        case GIVE_FEEDS:
                return give_feeds(rl, txn);
        default:
                give_end(rl);
                return 0;
        }
}

/* An error ends the answer, and says so: the other end asks somebody else. */
static void give_step(RoomLink *rl, DbTxn *txn) {
        Give *g = &rl->give;

        for (unsigned i = 0; g->stage != GIVE_NOTHING && i < TURN_FRAMES;) {
                GiveStage stage = g->stage;
                int r;

                if (link_is_full(rl->peer->link))
                        return; /* until it is drained */
                if (stage == GIVE_FEEDS && !sync_charge(rl->peer, COST_GIVEN)) {
                        sync_due(rl->sr, DUE_GIVE, sync_now(rl->sr->sync) + USEC_PER_SEC);
                        return;
                }
                r = give_stage(rl, txn);
                i += r > 0 || stage == GIVE_CONTROL;
                if (r > 0)
                        continue;
                if (r < 0 && stage < GIVE_DONE)
                        g->stage = GIVE_DONE;
                else if (stage == GIVE_DONE) {
                        give_done(g);
                        return;
                } else
                        g->stage++;
        }
        sync_due(rl->sr, DUE_GIVE, sync_now(rl->sr->sync));
}

void give_on_due(SyncRoom *sr) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        RoomLink *rl;

        if (store_read_begin(sr->sync->rooms->store, &txn) < 0)
                return; /* the batch after which it is open again says so */
        DL_FOREACH (sr->links, rl)
                if (rl->give.stage != GIVE_NOTHING)
                        give_step(rl, txn);
}
