/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Two nodes of toxcore over loopback, in one process, with nobody else in their network.
 *
 *   tox busy COUNT WINDOW SIZE       they never sleep
 *   tox interval COUNT WINDOW SIZE   they sleep as long as they ask to
 *   tox idle                         one of them, with nothing to do; until it is killed
 *
 * A message counts when the recipient has it, and its read receipt has come back.
 */

#include <tox/tox.h>
#include <unistd.h>

#include "talk.h"

typedef struct Node {
        Tox *tox;
        Work *work;
        bool connected;
} Node;

static void check(int error, const char *what) {
        if (error == 0)
                return;
        fprintf(stderr, "%s: error %d of toxcore\n", what, error);
        exit(1);
}

static void on_connection(
        Tox *tox, uint32_t friend_number, TOX_CONNECTION connection, void *userdata) {
        Node *n = userdata;

        n->connected = connection != TOX_CONNECTION_NONE;
}

static void on_message(Tox *tox, uint32_t friend_number, TOX_MESSAGE_TYPE type,
        const uint8_t *message, size_t size, void *userdata) {
        Node *n = userdata;

        work_received(n->work);
}

static void on_receipt(Tox *tox, uint32_t friend_number, uint32_t id, void *userdata) {
        Node *n = userdata;

        work_answered(n->work);
}

static void node_new(Node *n, Work *work) {
        struct Tox_Options *options = tox_options_new(NULL);
        TOX_ERR_NEW error;

        tox_options_set_local_discovery_enabled(options, false);
        tox_options_set_ipv6_enabled(options, false);
        tox_options_set_hole_punching_enabled(options, false);
        *n = (Node){.work = work, .tox = tox_new(options, &error)};
        check(error, "tox_new");
        tox_options_free(options);
        tox_callback_friend_connection_status(n->tox, on_connection);
        tox_callback_friend_message(n->tox, on_message);
        tox_callback_friend_read_receipt(n->tox, on_receipt);
}

/* Knows the other as a friend, and as the way into the network. */
static void node_meet(Node *n, const Node *other) {
        uint8_t key[TOX_PUBLIC_KEY_SIZE], dht[TOX_PUBLIC_KEY_SIZE];
        TOX_ERR_FRIEND_ADD add;
        TOX_ERR_BOOTSTRAP bootstrap;

        tox_self_get_public_key(other->tox, key);
        (void)tox_friend_add_norequest(n->tox, key, &add);
        check(add, "tox_friend_add_norequest");
        tox_self_get_dht_id(other->tox, dht);
        (void)tox_bootstrap(
                n->tox, "127.0.0.1", tox_self_get_udp_port(other->tox, NULL), dht, &bootstrap);
        check(bootstrap, "tox_bootstrap");
}

static void turn(Node *a, Node *b, bool busy) {
        uint32_t wait = tox_iteration_interval(a->tox), other = tox_iteration_interval(b->tox);

        if (!busy)
                usleep((wait < other ? wait : other) * 1000);
        tox_iterate(a->tox, a);
        tox_iterate(b->tox, b);
}

/* False while the queue is full. */
static bool send_one(Node *n, const uint8_t *text, size_t size) {
        TOX_ERR_FRIEND_SEND_MESSAGE error;

        (void)tox_friend_send_message(n->tox, 0, TOX_MESSAGE_TYPE_NORMAL, text, size, &error);
        if (error == TOX_ERR_FRIEND_SEND_MESSAGE_SENDQ)
                return false;
        check(error, "tox_friend_send_message");
        return true;
}

static int run(bool busy, char **argv) {
        bool waiting = false; /* a message was taken that does not fit the queue yet */
        uint8_t text[TOX_MAX_MESSAGE_LENGTH] = {};
        Node alice, bob;
        Work work;

        node_new(&alice, &work);
        node_new(&bob, &work);
        node_meet(&alice, &bob);
        node_meet(&bob, &alice);
        while (!alice.connected || !bob.connected)
                turn(&alice, &bob, false);
        work_begin(&work, argv[0], argv[1], argv[2]);
        memset(text, 'x', sizeof(text));
        while (!work_is_over(&work)) {
                while (waiting || work_take(&work)) {
                        waiting = !send_one(&alice, text, work.size);
                        if (waiting)
                                break;
                }
                turn(&alice, &bob, busy);
        }
        work_print(&work);
        tox_kill(alice.tox);
        tox_kill(bob.tox);
        return 0;
}

static _Noreturn void run_idle(void) {
        Node n;

        node_new(&n, NULL);
        for (;;) {
                usleep(tox_iteration_interval(n.tox) * 1000);
                tox_iterate(n.tox, &n);
        }
}

int main(int argc, char **argv) {
        if (argc == 5 && strcmp(argv[1], "busy") == 0)
                return run(true, argv + 2);
        if (argc == 5 && strcmp(argv[1], "interval") == 0)
                return run(false, argv + 2);
        if (argc == 2 && strcmp(argv[1], "idle") == 0)
                run_idle();
        fprintf(stderr, "usage: tox busy|interval COUNT WINDOW SIZE | idle\n");
        return 2;
}
