/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "node/node-internal.h"

static void on_push(void *userdata) {
        node_push(userdata);
        node_push_rooms(userdata);
}

static void on_hold(void *userdata) {
        node_push_held(userdata, false);
}

static void on_settle(void *userdata) {
        Node *n = userdata;

        n->settled = true;
        node_settle(n);
}

static void on_save(void *userdata) {
        node_save_seen(userdata, false);
}

static void on_mail_tell(void *userdata) {
        node_tell_mail(userdata);
}

static void on_mail_expire(void *userdata) {
        node_expire_mail(userdata);
}

static void on_room_timer(void *userdata) {
        node_on_room_timer(userdata);
}

int node_new(Net *net, DStore *store, const SignKey *key, const NodeLimits *limits, Node **ret) {
        Node *n = calloc(1, sizeof(*n));
        int r;

        if (!n)
                return -ENOMEM;
        *n = (Node){.net = net, .loop = net_loop(net), .store = store, .limits = limits};
        memcpy(n->key, sign_key_public(key), KEY_SIZE);
        loop_random(n->loop, n->boot_nonce, sizeof(n->boot_nonce));
        loop_random(n->loop, &n->hash, sizeof(n->hash));
        r = tls_identity_new(key, &n->tls);
        if (r >= 0)
                r = loop_defer_new(n->loop, LOOP_DEFER_SOON, on_push, n, &n->push);
        if (r >= 0)
                r = loop_timer_new(n->loop, on_hold, n, &n->hold);
        if (r >= 0)
                r = loop_timer_new(n->loop, on_settle, n, &n->settle);
        if (r >= 0)
                r = loop_timer_new(n->loop, on_save, n, &n->save);
        if (r >= 0)
                r = loop_timer_new(n->loop, on_mail_tell, n, &n->mail_tell);
        if (r >= 0)
                r = loop_timer_new(n->loop, on_mail_expire, n, &n->mail_expire);
        if (r >= 0)
                r = loop_timer_new(n->loop, on_room_timer, n, &n->room_timer);
        if (r < 0) {
                node_free(n);
                return r;
        }
        loop_timer_set(n->settle,
                loop_now(n->loop) + SETTLE_HEARTBEATS * limits->heartbeat * USEC_PER_SEC);
        loop_timer_set(n->mail_expire, loop_now(n->loop)); /* what ended while there was no node */
        *ret = n;
        return 0;
}

Node *node_free(Node *n) {
        if (!n)
                return NULL;
        while (n->clients)
                client_free(n->clients);
        if (n->hold)
                node_push_held(n, true);
        node_save_seen(n, true);
        node_rooms_free(n);
        node_accounts_free(n);
        node_prefixes_free(n);
        loop_defer_free(n->push);
        loop_timer_free(n->hold);
        loop_timer_free(n->settle);
        loop_timer_free(n->save);
        loop_timer_free(n->mail_tell);
        loop_timer_free(n->mail_expire);
        loop_timer_free(n->room_timer);
        n->store->ops->forget(n->store, n);
        tls_identity_free(n->tls);
        free(n->online);
        free(n);
        return NULL;
}

void node_set_callbacks(Node *n, const NodeCallbacks *callbacks, void *userdata) {
        n->callbacks = callbacks;
        n->userdata = userdata;
}

void node_store_told(Node *n, NodeStoreUse use, int error) {
        bool damaged = error == -EUCLEAN && use != NODE_STORE_PASSWORDS;

        if (damaged ? n->store_damaged : error == n->store_errors[use])
                return;
        if (damaged)
                n->store_damaged = true;
        else
                n->store_errors[use] = error;
        if (n->callbacks)
                n->callbacks->store(n->userdata, use, error);
}

void node_write_told(Node *n, int error, bool kept) {
        if (error < 0 || kept || n->store_errors[NODE_STORE_WRITE] != -ENOSPC)
                node_store_told(n, NODE_STORE_WRITE, error);
}

int node_record_read(Node *n, int error, Bytes blob, Record *ret) {
        if (error >= 0 && blob.size > 0 && record_parse(blob, ret) < 0)
                error = -EUCLEAN;
        node_store_told(n, NODE_STORE_READ, error);
        return error < 0 ? error : blob.size > 0;
}

int node_room_read(Node *n, int error, Bytes blob, RoomRecord *ret) {
        if (error >= 0 && blob.size > 0 && room_record_parse(blob, ret) < 0)
                error = -EUCLEAN;
        node_store_told(n, NODE_STORE_READ, error);
        return error < 0 ? error : blob.size > 0;
}

void node_accept(Node *n, Transport *t) {
        client_new(n, t);
}

const NodeStats *node_stats(const Node *n) {
        return &n->stats;
}

const uint8_t *node_boot_nonce(const Node *n) {
        return n->boot_nonce;
}
