/* SPDX-License-Identifier: GPL-3.0-or-later */

/* An account moves to another device, and all that it has comes along: whole daemons and a tracker,
 * on the virtual clock. */

#include "test.h"

#include "chat/chat.h"
#include "devices-lab.h"
#include "handover/private.h"
#include "store/handover-state.h"

#include <utlist.h>

#define PEER_PORT 7700

typedef struct Machine {
        Device device;
        char host[16];
        unsigned n_sent, n_refused;
} Machine;

typedef struct World {
        Sim sim;
        Home home;
        Machine alice, alice2, bob;
} World;

static void on_accept(void *userdata, Transport *t) {
        delivery_accept(((Machine *)userdata)->device.parts->delivery, t);
}

/* As the manager does when an account is active. */
static void machine_publish(Machine *m) {
        Endpoints e = {.n = 1};

        snprintf(e.text[0], sizeof(e.text[0]), "%s:%d", m->host, PEER_PORT);
        if (account_is_active(m->device.account))
                parts_publish(m->device.parts, &e);
}

static void machine_up(Machine *m) {
        Network *network = m->device.home->sim->network;

        CHECK_OK(network_listen(network, m->host, PEER_PORT, on_accept, m));
        machine_publish(m);
}

static void machine_login(Machine *m) {
        CHECK_EQ(device_login(&m->device, "alice", PASSWORD), CODE_OK);
        machine_publish(m);
}

static void machine_down(Machine *m) {
        network_close(m->device.home->sim->network, m->host, PEER_PORT);
        device_stop(&m->device);
}

static void machine_start(Machine *m) {
        device_start(&m->device);
        machine_up(m);
}

static void machine_new(World *w, Machine *m, unsigned n) {
        *m = (Machine){};
        snprintf(m->host, sizeof(m->host), "192.0.2.%u", n);
        device_new(&w->home, &m->device);
        machine_up(m);
}

static void on_sent(void *userdata, const ChatError *error, const char *id) {
        Machine *m = userdata;

        if (error)
                m->n_refused++;
        else
                m->n_sent++;
}

static void write_to(Machine *m, const char *to, const char *text) {
        unsigned n = m->n_sent;

        chat_send(m->device.parts->chat, &(ChatSend){.to = to, .text = text}, on_sent, m);
        SIM_UNTIL(m->device.home->sim, m->n_sent > n);
}

static void world_new(World *w, uint64_t seed) {
        *w = (World){};
        sim_new(&w->sim, seed);
        home_new(&w->sim, &w->home);
        machine_new(w, &w->alice, 1);
        machine_new(w, &w->alice2, 2);
        machine_new(w, &w->bob, 3);
        CHECK_EQ(device_register(&w->alice.device, "alice", PASSWORD), CODE_OK);
        CHECK_EQ(device_register(&w->bob.device, "bob", ""), CODE_OK);
        machine_publish(&w->alice);
        machine_publish(&w->bob);
}

static void world_free(World *w) {
        device_free(&w->alice.device);
        device_free(&w->alice2.device);
        device_free(&w->bob.device);
        home_free(&w->home);
        sim_free(&w->sim);
}

/* What a user sees of the conversation with PEER. */
typedef struct Seen {
        uint8_t digest[SHA256_SIZE]; /* of the messages in their order */
        uint64_t n;
        unsigned unread, outbox;
} Seen;

static Seen see(const Machine *m, const uint8_t *peer) {
        const Identity *self = account_identity(m->device.account);
        uint8_t hash[SHA256_SIZE];
        Conversation v;
        Seen s = {};
        DbTxn *txn;

        CHECK_OK(store_read_begin(m->device.store, &txn));
        conversation_direct(sign_key_public(&self->account), peer, hash);
        if (conversation_find(txn, hash, &v) > 0) {
                CHECK_OK(store_digest(txn, v.number, s.digest, &s.n));
                s.unread = v.unread;
        }
        s.outbox = (unsigned)outbox_count(txn);
        store_read_end(txn);
        return s;
}

static const uint8_t *account_of(const Machine *m) {
        return sign_key_public(&account_identity(m->device.account)->account);
}

static uint64_t messages_with(const Machine *m, const Machine *peer) {
        return see(m, account_of(peer)).n;
}

static unsigned queued(const Machine *m) {
        return see(m, account_of(m)).outbox;
}

static HandoverState state_of(const Machine *m) {
        HandoverState s;

        handover_get_state(m->device.parts->handover, &s);
        return s;
}

static bool has_given(const Machine *m) {
        HandoverGive g;
        DbTxn *txn;
        bool given;

        CHECK_OK(store_read_begin(m->device.store, &txn));
        given = store_get_handover_give(txn, &g) > 0 && g.done;
        store_read_end(txn);
        return given;
}

static void talk(World *w, unsigned n) {
        char text[32];

        for (unsigned i = 0; i < n; i++) {
                snprintf(text, sizeof(text), "message %u", i);
                write_to(&w->alice, "bob", text);
                write_to(&w->bob, "alice", text);
        }
        SIM_UNTIL(&w->sim,
                messages_with(&w->alice, &w->bob) == 2 * n &&
                        messages_with(&w->bob, &w->alice) == 2 * n);
        SIM_UNTIL(&w->sim, queued(&w->alice) == 0 && queued(&w->bob) == 0);
}

TEST(everything_is_there) {
        Seen before, after;
        World w;

        world_new(&w, 1);
        talk(&w, 20);
        before = see(&w.alice, account_of(&w.bob));
        CHECK_EQ(before.unread, 20);
        machine_login(&w.alice2);
        SIM_UNTIL(&w.sim, account_is_replaced(w.alice.device.account));
        SIM_UNTIL(&w.sim, has_given(&w.alice));
        after = see(&w.alice2, account_of(&w.bob));
        CHECK_EQ(after.n, before.n);
        CHECK(memcmp(after.digest, before.digest, SHA256_SIZE) == 0);
        CHECK_EQ(after.unread, before.unread);
        CHECK(!state_of(&w.alice).active && !state_of(&w.alice2).active);
        CHECK_EQ(state_of(&w.alice2).refused, 0);
        world_free(&w);
}

TEST(the_other_one_writes_throughout) {
        World w;

        world_new(&w, 2);
        talk(&w, 20);
        machine_login(&w.alice2);
        for (unsigned i = 0; i < 10; i++)
                write_to(&w.bob, "alice", "are you there?");
        SIM_UNTIL(&w.sim, has_given(&w.alice));
        SIM_UNTIL(&w.sim, messages_with(&w.alice2, &w.bob) == 50);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(messages_with(&w.alice2, &w.bob), 50);
        CHECK_EQ(see(&w.alice2, account_of(&w.bob)).unread, 30);
        CHECK_EQ(queued(&w.bob), 0);
        world_free(&w);
}

TEST(what_waits_is_sent_by_the_new_device) {
        World w;

        world_new(&w, 3);
        talk(&w, 1);
        machine_down(&w.bob);
        for (unsigned i = 0; i < 10; i++)
                write_to(&w.alice, "bob", "when you are back");
        machine_login(&w.alice2);
        SIM_UNTIL(&w.sim, has_given(&w.alice));
        CHECK_EQ(queued(&w.alice2), 10);
        machine_down(&w.alice);
        machine_start(&w.bob);
        SIM_UNTIL(&w.sim, messages_with(&w.bob, &w.alice2) == 12);
        SIM_UNTIL(&w.sim, queued(&w.alice2) == 0);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(messages_with(&w.bob, &w.alice2), 12);
        machine_start(&w.alice);
        world_free(&w);
}

TEST(login_back_moves_back) {
        World w;

        world_new(&w, 4);
        talk(&w, 5);
        machine_login(&w.alice2);
        SIM_UNTIL(&w.sim, has_given(&w.alice));
        write_to(&w.alice2, "bob", "from the new one");
        SIM_UNTIL(&w.sim, messages_with(&w.bob, &w.alice2) == 11);
        machine_login(&w.alice);
        SIM_UNTIL(&w.sim, has_given(&w.alice2));
        CHECK_EQ(messages_with(&w.alice, &w.bob), 11);
        write_to(&w.alice, "bob", "from the old one");
        SIM_UNTIL(&w.sim, messages_with(&w.bob, &w.alice) == 12);
        world_free(&w);
}

TEST(login_back_moves_back_where_contacts_alone_may_call) {
        static const AccountPrivacy hidden = {
                .listed = true, .presence = VISIBLE_CONTACTS, .endpoints = VISIBLE_CONTACTS};
        World w;

        world_new(&w, 9);
        account_set_privacy(w.alice.device.account, &hidden);
        account_set_privacy(w.alice2.device.account, &hidden);
        talk(&w, 5);
        machine_login(&w.alice2);
        SIM_UNTIL(&w.sim, has_given(&w.alice));
        write_to(&w.alice2, "bob", "from the new one");
        SIM_UNTIL(&w.sim, messages_with(&w.bob, &w.alice2) == 11);
        machine_login(&w.alice);
        SIM_UNTIL(&w.sim, has_given(&w.alice2));
        CHECK_EQ(messages_with(&w.alice, &w.bob), 11);
        world_free(&w);
}

TEST(one_that_was_off_hands_over_on_its_return) {
        World w;

        world_new(&w, 5);
        talk(&w, 5);
        machine_down(&w.alice);
        machine_login(&w.alice2);
        write_to(&w.bob, "alice", "hello again");
        SIM_UNTIL(&w.sim, messages_with(&w.alice2, &w.bob) == 1);
        machine_start(&w.alice);
        SIM_UNTIL(&w.sim, has_given(&w.alice));
        CHECK_EQ(messages_with(&w.alice2, &w.bob), 11);
        CHECK_EQ(see(&w.alice2, account_of(&w.bob)).unread, 6);
        world_free(&w);
}

TEST(it_is_cut_and_goes_on) {
        for (unsigned every = 1; every < 40; every += 4) {
                Seen before, after;
                unsigned cuts = 0;
                World w;

                world_new(&w, 6);
                for (unsigned i = 0; i < 30; i++) {
                        char text[8000];

                        memset(text, 'a', sizeof(text));
                        text[sizeof(text) - 1] = 0;
                        write_to(&w.alice, "bob", text);
                }
                SIM_UNTIL(&w.sim, messages_with(&w.bob, &w.alice) == 30);
                before = see(&w.alice, account_of(&w.bob));
                machine_login(&w.alice2);
                while (!has_given(&w.alice)) {
                        sim_run(&w.sim, every * USEC_PER_MSEC);
                        if (state_of(&w.alice2).active && cuts++ < 10) {
                                machine_down(cuts % 2 == 0 ? &w.alice : &w.alice2);
                                machine_start(cuts % 2 == 0 ? &w.alice : &w.alice2);
                        }
                }
                after = see(&w.alice2, account_of(&w.bob));
                CHECK_EQ(after.n, before.n);
                CHECK(memcmp(after.digest, before.digest, SHA256_SIZE) == 0);
                world_free(&w);
        }
}

/* The one that something is taken from. */
static Other *find_giver(const Machine *m) {
        Other *o;

        DL_FOREACH (m->device.parts->handover->others, o)
                if (o->takes)
                        return o;
        return NULL;
}

static int hear(Handover *h, Link *l, const HandoverFrame *f) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Frame frame;
        size_t size;

        CHECK_OK(handover_encode(&b, f));
        CHECK_EQ(frame_scan(buffer_data(&b), buffer_size(&b), &size), 1);
        CHECK_OK(frame_open(buffer_data(&b), size, &frame));
        return handover_frame(h, l, &frame);
}

/* The end of what O gives is heard, and O calls again before that is on disk, where it never is. */
static void end_in_vain(Store *store, Other *o) {
        static const uint8_t end[] = {PART_END};
        HandoverFrame offer = {.what = HANDOVER_OFFER, .items = o->take.total};
        Handover *h = o->handover;
        Link *l = o->link;

        memcpy(offer.transfer, o->take.transfer, sizeof(offer.transfer));
        hear(h, l,
                &(HandoverFrame){
                        .what = HANDOVER_END, .position = {.data = end, .size = sizeof(end)}});
        handover_own_link(h, l, false);
        handover_own_link(h, l, true);
        CHECK_OK(hear(h, l, &offer));
        store_fail(store, -EIO);
}

TEST(what_is_not_on_disk_is_not_said_to_be_taken) {
        World w;

        world_new(&w, 7);
        talk(&w, 5);
        machine_login(&w.alice2);
        SIM_UNTIL(&w.sim, find_giver(&w.alice2));
        end_in_vain(w.alice2.device.store, find_giver(&w.alice2));
        SIM_UNTIL(&w.sim, has_given(&w.alice));
        CHECK_EQ(messages_with(&w.alice2, &w.bob), 10);
        world_free(&w);
}

/* Each costs a row, and tells everybody who looks on. */
TEST(over_one_link_one_thing_is_offered) {
        HandoverFrame offer = {.what = HANDOVER_OFFER, .items = 1, .waits = true};
        Handover *h;
        Link *l;
        World w;

        world_new(&w, 8);
        talk(&w, 5);
        machine_login(&w.alice2);
        SIM_UNTIL(&w.sim, find_giver(&w.alice2));
        l = find_giver(&w.alice2)->link;
        h = w.alice2.device.parts->handover;
        handover_own_link(h, l, false);
        handover_own_link(h, l, true);
        CHECK_OK(hear(h, l, &offer));
        CHECK_OK(hear(h, l, &offer));
        offer.transfer[0] = 1;
        CHECK_EQ(hear(h, l, &offer), -EBADMSG);
        SIM_UNTIL(&w.sim, has_given(&w.alice));
        CHECK_EQ(messages_with(&w.alice2, &w.bob), 10);
        world_free(&w);
}

static unsigned n_reads;

static int read_nothing(void *userdata, DbTxn *txn, Bytes position, size_t max, Buffer *items,
        uint64_t *ret_n, Buffer *next) {
        n_reads++;
        return -EIO;
}

/* It would cost both a handshake each time. */
TEST(what_fails_at_once_is_not_tried_all_the_time) {
        HandoverCallbacks callbacks;
        Handover *h;
        World w;

        world_new(&w, 10);
        talk(&w, 5);
        h = w.alice.device.parts->handover;
        callbacks = *h->callbacks;
        callbacks.rooms_read = read_nothing;
        h->callbacks = &callbacks;
        machine_login(&w.alice2);
        n_reads = 0;
        sim_run(&w.sim, 5 * USEC_PER_MINUTE);
        CHECK(n_reads > 1);
        CHECK(n_reads < 40);
        world_free(&w);
}
