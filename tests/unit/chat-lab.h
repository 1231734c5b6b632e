/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A user's daemon without bus and sockets, on the virtual clock: alice has an account, is logged in
 * and has no tracker. */

#include <ftw.h>

#include "parts.h"
#include "sim-lab.h"

typedef struct ChatLab {
        Sim sim;
        char dir[64];
        Store *store;
        Parts *parts;
        Chat *chat; /* of the parts */
} ChatLab;

static void chat_lab_save(ChatLab *l, Identity i) {
        snprintf(i.name, sizeof(i.name), "alice");
        sign_key_generate(&i.account);
        sign_key_generate(&i.device);
        CHECK_OK(store_save_identity(l->store, &i));
        CHECK_OK(store_commit(l->store));
        identity_done(&i);
}

/* An account as registering leaves it. */
static void chat_lab_save_identity(ChatLab *l) {
        chat_lab_save(l, (Identity){.epoch = 1, .claimed = true, .logged_in = true});
}

/* And without a tracker. */
static _unused_ void chat_lab_save_lan_identity(ChatLab *l) {
        chat_lab_save(l, (Identity){.epoch = 1, .lan_only = true, .logged_in = true});
}

static PartsArgs chat_lab_parts(const ChatLab *l) {
        static const PartsCallbacks callbacks;

        return (PartsArgs){.loop = l->sim.loop,
                .store = l->store,
                .heartbeat = 30,
                .delivery = {.handshake = 10, .say_read = true},
                .max_members = 1000,
                .state_dir = l->dir,
                .sandbox = {"sandbox", "ok", "This is a test.", NULL},
                .callbacks = &callbacks};
}

/* The program starts, with what is on disk. */
static void chat_lab_start(ChatLab *l) {
        PartsArgs args = chat_lab_parts(l);

        CHECK_OK(parts_new(&args, &l->parts));
        network_connect_with(l->sim.network, l->parts->net);
        l->chat = l->parts->chat;
        parts_start(l->parts);
}

static void chat_lab_stop(ChatLab *l) {
        l->parts = parts_free(l->parts);
        l->chat = NULL;
}

/* Nobody has an account, and the program does not run. */
static void chat_lab_begin(ChatLab *l) {
        *l = (ChatLab){.dir = "/tmp/p2pchat-test-XXXXXX"};
        CHECK(mkdtemp(l->dir));
        sim_new(&l->sim, 1);
        CHECK_OK(store_open(l->dir, l->sim.loop, &l->store));
}

static _unused_ void chat_lab_new(ChatLab *l) {
        chat_lab_begin(l);
        chat_lab_save_identity(l);
        chat_lab_start(l);
}

static int chat_lab_unlink(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static _unused_ void chat_lab_free(ChatLab *l) {
        chat_lab_stop(l);
        store_close(l->store);
        sim_free(&l->sim);
        CHECK_OK(nftw(l->dir, chat_lab_unlink, 8, FTW_DEPTH | FTW_PHYS));
}

/* Somebody with a row. RET_ACCOUNT: NULL, or BASE32_KEY_SIZE + 1 bytes. */
static _unused_ void chat_lab_learn(
        ChatLab *l, const char *name, uint8_t flags, bool confirmed, char *ret_account) {
        Person p;
        Record record;
        Contact c;

        person_begin(&l->sim, name, 1, &p);
        person_sign(&p, IDENTITY_LIFETIME);
        CHECK_OK(record_decode(p.local.record, &record));
        CHECK(contact_learn(l->store, &record, p.local.record, loop_realtime(l->sim.loop), flags,
                      confirmed, &c) >= 0);
        if (ret_account)
                base32_encode_key(c.account, ret_account);
        buffer_done(&p.certificate);
        buffer_done(&p.record);
}

static _unused_ void chat_lab_add_contact(
        ChatLab *l, const char *name, uint8_t flags, char *ret_account) {
        chat_lab_learn(l, name, flags, true, ret_account);
}
