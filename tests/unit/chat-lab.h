/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A user's daemon without bus and sockets, on the virtual clock: alice has an account, is logged in
 * and has no tracker. */

#include <ftw.h>

#include "chat/create.h"
#include "sim-lab.h"

typedef struct ChatLab {
        Sim sim;
        char dir[64];
        Store *store;
        Account *account;
        TlsIdentity *tls;
        Directory *directory;
        Delivery *delivery;
        Chat *chat;
} ChatLab;

static void chat_lab_on_active(void *userdata, bool active) {
        ChatLab *l = userdata;

        if (active)
                delivery_start(l->delivery);
        else
                delivery_stop(l->delivery);
        chat_on_active(l->chat, active);
}

static void chat_lab_on_use_tracker(void *userdata, const char *address) {
}

static void chat_lab_on_trackers_changed(void *userdata) {
        ChatLab *l = userdata;

        if (l->chat)
                chat_on_trackers_changed(l->chat);
}

static void chat_lab_on_record(void *userdata, const Record *record, Bytes outer) {
        chat_on_record(((ChatLab *)userdata)->chat, record, outer);
}

static void chat_lab_on_presence(void *userdata, const uint8_t account[static KEY_SIZE],
        bool online, usec_t last_seen, const PresenceRecord *p) {
        chat_on_presence(((ChatLab *)userdata)->chat, account, online, last_seen, p);
}

static void chat_lab_on_name_refused(void *userdata, Code code, const char *text) {
        chat_on_name_refused(((ChatLab *)userdata)->chat, code, text);
}

static void chat_lab_on_events(void *userdata, int error) {
        ChatLab *l = userdata;

        if (l->chat)
                chat_on_events(l->chat, error);
}

static void chat_lab_on_link_changed(
        void *userdata, const uint8_t account[static KEY_SIZE], bool up) {
        chat_on_link_changed(((ChatLab *)userdata)->chat, account, up);
}

static const AccountCallbacks chat_lab_account_callbacks = {
        .active = chat_lab_on_active,
        .use_tracker = chat_lab_on_use_tracker,
};

static const DirectoryCallbacks chat_lab_directory_callbacks = {
        .trackers_changed = chat_lab_on_trackers_changed,
        .record = chat_lab_on_record,
        .presence = chat_lab_on_presence,
        .name_refused = chat_lab_on_name_refused,
};

static const DeliveryCallbacks chat_lab_delivery_callbacks = {
        .link_changed = chat_lab_on_link_changed,
};

/* An account as registering leaves it. */
static void chat_lab_save_identity(ChatLab *l) {
        Identity i = {.epoch = 1, .claimed = true, .logged_in = true};

        snprintf(i.name, sizeof(i.name), "alice");
        sign_key_generate(&i.account);
        sign_key_generate(&i.device);
        CHECK_OK(store_save_identity(l->store, &i));
        CHECK_OK(store_commit(l->store));
        identity_done(&i);
}

/* The program starts, with what is on disk. */
static void chat_lab_start(ChatLab *l) {
        static const DeliverySettings settings = {.handshake = 10};

        CHECK_OK(account_new(
                l->store, l->sim.loop, 30, &chat_lab_account_callbacks, l, &l->account));
        CHECK_OK(tls_identity_new(&account_identity(l->account)->device, &l->tls));
        account_set_tls(l->account, l->tls);
        CHECK_OK(directory_new(l->sim.net, account_local(l->account), &chat_lab_directory_callbacks,
                l, &l->directory));
        CHECK_OK(delivery_new(l->sim.loop, l->store, l->sim.net, l->directory,
                account_identity(l->account), account_local(l->account), &settings,
                &chat_lab_delivery_callbacks, l, &l->delivery));
        CHECK_OK(chat_new(&(ChatParts){.loop = l->sim.loop,
                                  .store = l->store,
                                  .account = l->account,
                                  .directory = l->directory,
                                  .delivery = l->delivery,
                                  .state_dir = l->dir,
                                  .sandbox = {"sandbox", "ok", "This is a test.", NULL}},
                &l->chat));
        account_set_directory(l->account, l->directory);
        store_set_events_fn(l->store, chat_lab_on_events, l);
        account_start(l->account);
}

static void chat_lab_stop(ChatLab *l) {
        l->chat = chat_free(l->chat);
        l->delivery = delivery_free(l->delivery);
        l->directory = directory_free(l->directory);
        l->tls = tls_identity_free(l->tls);
        l->account = account_free(l->account);
}

static _unused_ void chat_lab_new(ChatLab *l) {
        *l = (ChatLab){.dir = "/tmp/p2pchat-test-XXXXXX"};
        CHECK(mkdtemp(l->dir));
        sim_new(&l->sim, 1);
        CHECK_OK(store_open(l->dir, l->sim.loop, &l->store));
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
        CHECK(contact_learn(l->store, &record, p.local.record, flags, confirmed, &c) >= 0);
        if (ret_account)
                base32_encode_key(c.account, ret_account);
        buffer_done(&p.certificate);
        buffer_done(&p.record);
}

static _unused_ void chat_lab_add_contact(
        ChatLab *l, const char *name, uint8_t flags, char *ret_account) {
        chat_lab_learn(l, name, flags, true, ret_account);
}
