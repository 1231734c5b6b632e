/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "account/account.h"

#include <stdio.h>

#include "crypto/hpke.h"
#include "store/prekey.h"
#include "store/presence-key.h"
#include "wire/mail.h"

/* Clocks that work differ by less. */
#define CLOCK_WRONG USEC_PER_HOUR

/* After a renewal that was not kept. */
#define RENEWAL_RETRY USEC_PER_MINUTE

typedef enum Operation {
        OPERATION_NONE,
        OPERATION_BEGUN, /* nothing to wait for yet */
        OPERATION_SAVE, /* keys and name must be on disk before a tracker has them */
        OPERATION_REGISTER, /* waits for a tracker, then for its answer */
        OPERATION_COMMIT, /* all decided; waits for the disk */
} Operation;

struct Account {
        Store *store;
        Loop *loop;
        Directory *directory;
        const AccountCallbacks *callbacks;
        void *userdata;
        Identity identity;
        LocalIdentity local;
        usec_t certified, recorded; /* when certificate and record were made; 0: they are to be */
        AccountPrivacy privacy, stated; /* as it is to be, and as the record says */
        Endpoints endpoints;
        bool started, published;
        bool prekey_lost; /* that of the record */
        Buffer presence;
        LoopTimer *renewal;

        /* What a caller waits for. */
        Operation operation;
        uint64_t batch; /* of SAVE and COMMIT */
        bool asked; /* the tracker has the claim */
        bool want_active; /* what the commit makes true */
        bool was_claimed, was_logged_in; /* what holds if it fails */
        AccountDoneFn fn;
        void *fn_userdata;
        LoopTimer *deadline;
};

bool account_exists(const Account *a) {
        return a->identity.claimed;
}

bool account_is_active(const Account *a) {
        return a->identity.claimed && a->identity.logged_in;
}

const LocalIdentity *account_local(const Account *a) {
        return &a->local;
}

const Identity *account_identity(const Account *a) {
        return &a->identity;
}

Bytes account_presence(const Account *a) {
        return buffer_bytes(&a->presence);
}

/* Prekeys */

/* In the batch of the record that names it, which nobody sees before it is on disk. */
static int make_prekey(Account *a, uint64_t last, PrekeyRow *ret) {
        usec_t now = loop_realtime(a->loop);
        uint8_t seed[HPKE_SEED_SIZE];

        *ret = (PrekeyRow){
                .id = MAX(last + 1, now / USEC_PER_MSEC), .suite = MAIL_SUITE_HPKE, .made = now};
        loop_random(a->loop, seed, sizeof(seed));
        hpke_key_derive(seed, ret->secret, ret->public);
        explicit_bzero(seed, sizeof(seed));
        return prekey_put(a->store, ret);
}

/* The one for a new record: a new one each time that it is renewed. */
static int find_prekey(Account *a, PrekeyRow *ret) {
        usec_t now = loop_realtime(a->loop);
        PrekeyRow last = {};
        int r;

        r = prekey_newest(store_write(a->store), &last);
        if (r < 0)
                return r;
        if (r == 0 || a->prekey_lost || now < last.made || now - last.made >= PREKEY_ROTATION)
                r = make_prekey(a, last.id, ret);
        else
                *ret = last;
        explicit_bzero(&last, sizeof(last));
        return MIN(r, 0);
}

/* Certificate and record */

static int make_certificate(Account *a, usec_t now) {
        Identity *i = &a->identity;
        Certificate c = {.epoch = i->epoch, .issued = now, .expires = now + IDENTITY_LIFETIME};

        memcpy(c.account, sign_key_public(&i->account), KEY_SIZE);
        memcpy(c.device, sign_key_public(&i->device), KEY_SIZE);
        buffer_clear(&i->certificate);
        return certificate_encode(&c, &i->account, &i->device, &i->certificate);
}

/* A directory's clock may be behind this one by as much. */
#define SEQ_MARGIN (10 * USEC_PER_MINUTE)

/* max(last + 1, ms): a store that was restored never goes back behind what it published. Further
 * ahead than a directory takes it was not published, but all up to that may have been. */
static uint64_t next_seq(uint64_t last, usec_t now) {
        uint64_t ms = now / USEC_PER_MSEC;

        return CLAMP(last + 1, ms, ms + (RECORD_AHEAD_MAX - SEQ_MARGIN) / USEC_PER_MSEC);
}

static int make_record(Account *a, usec_t now) {
        Identity *i = &a->identity;
        Record rec = {.epoch = i->epoch,
                .seq = next_seq(i->record_seq, now),
                .issued = now,
                .expires = now + IDENTITY_LIFETIME,
                .suites = {MAIL_SUITE_HPKE},
                .n_suites = 1,
                .listed = a->privacy.listed,
                .presence = a->privacy.presence,
                .endpoints = a->privacy.endpoints};
        PrekeyRow prekey;
        int r;

        r = find_prekey(a, &prekey);
        if (r < 0)
                return r;
        rec.prekeys[0] = (Prekey){.suite = prekey.suite,
                .id = prekey.id,
                .key = {.data = prekey.public, .size = sizeof(prekey.public)}};
        rec.n_prekeys = 1;
        explicit_bzero(prekey.secret, sizeof(prekey.secret));
        memcpy(rec.account, sign_key_public(&i->account), KEY_SIZE);
        memcpy(rec.name, i->name, NAME_SIZE);
        rec.certificate = buffer_bytes(&i->certificate);
        buffer_clear(&i->record);
        r = record_encode(&rec, &i->account, &i->record);
        if (r < 0)
                return r;
        i->record_seq = rec.seq;
        a->prekey_lost = false;
        return 0;
}

static void account_set_local(Account *a) {
        Record rec;

        a->local.certificate = buffer_bytes(&a->identity.certificate);
        a->local.record = buffer_bytes(&a->identity.record);
        a->certified = a->recorded = 0;
        if (record_parse(a->local.record, &rec) >= 0 && rec.n_prekeys > 0) {
                a->certified = rec.device.issued;
                a->recorded = rec.issued;
                a->stated = (AccountPrivacy){
                        .listed = rec.listed, .presence = rec.presence, .endpoints = rec.endpoints};
        }
}

static int account_renew(Account *a) {
        usec_t now = loop_realtime(a->loop);
        int r;

        r = make_certificate(a, now);
        if (r >= 0)
                r = make_record(a, now);
        if (r >= 0)
                r = store_save_identity(a->store, &a->identity);
        account_set_local(a); /* what was there before is gone, whatever became of this */
        return r;
}

static bool same_privacy(const AccountPrivacy *a, const AccountPrivacy *b) {
        return a->listed == b->listed && a->presence == b->presence && a->endpoints == b->endpoints;
}

/* What is of the future was made while the clock was wrong, and no tracker takes it for as long as
 * the clock was ahead; or the clock is wrong now, and trackers take what was made before. */
static bool account_is_due(const Account *a) {
        usec_t now = loop_realtime(a->loop);

        return now >= a->certified + IDENTITY_RENEWAL || a->prekey_lost ||
                !same_privacy(&a->privacy, &a->stated) ||
                (directory_is_refused(a->directory) &&
                        MAX(a->certified, a->recorded) > now + CLOCK_WRONG);
}

/* A record that is not on disk is shown to nobody: its prekey is needed to open mail. So it is the
 * one before again, which is still due to be renewed. */
static void renewal_failed(Account *a) {
        Identity kept, *i = &a->identity;

        if (store_load_identity(a->store, &kept) > 0) {
                buffer_done(&i->certificate);
                buffer_done(&i->record);
                i->certificate = kept.certificate;
                i->record = kept.record;
                kept.certificate = kept.record = BUFFER_NULL;
                identity_done(&kept);
                account_set_local(a);
        } else
                a->certified = 0;
        loop_timer_set(a->renewal, loop_now(a->loop) + RENEWAL_RETRY);
}

static void on_renewed(void *userdata, int error) {
        Account *a = userdata;

        if (error < 0)
                renewal_failed(a);
        else if (account_is_active(a))
                account_publish(a, &a->endpoints);
}

static void account_look_at_times(Account *a) {
        if (account_is_active(a) && account_is_due(a) && account_renew(a) >= 0 &&
                store_after_commit(a->store, on_renewed, a) < 0)
                on_renewed(a, -ENOMEM);
}

void account_renew_prekey(Account *a) {
        a->prekey_lost = true;
        account_look_at_times(a);
}

void account_set_privacy(Account *a, const AccountPrivacy *p) {
        a->privacy = *p;
        if (a->started)
                account_look_at_times(a);
}

/* The wall clock may step: looked at once a day, not trusted to be a week from now. */
static void on_renewal(void *userdata) {
        Account *a = userdata;

        loop_timer_set(a->renewal, loop_now(a->loop) + USEC_PER_DAY);
        account_look_at_times(a);
}

/* Presence */

/* max(last + 1, ms): nobody takes one that is older than what he has, and the clock may have gone
 * back since the last start. */
static int make_presence_key(Account *a, uint8_t ret[static BOX_KEY_SIZE]) {
        loop_random(a->loop, ret, BOX_KEY_SIZE);
        return store_set_presence_key(a->store, ret);
}

/* Contacts have the key in any case, so that it can be needed at any time. Without a store or
 * memory nobody is told where this device is, rather than everybody. */
static void seal_endpoints(Account *a, PresenceRecord *p, Buffer *out) {
        uint8_t key[BOX_KEY_SIZE], nonce[BOX_NONCE_SIZE];
        int r;

        r = store_get_presence_key(store_write(a->store), key);
        if (r == 0)
                r = make_presence_key(a, key);
        if (a->privacy.endpoints != VISIBLE_ALL) {
                loop_random(a->loop, nonce, sizeof(nonce));
                if (r >= 0 && presence_seal(p, key, nonce, out) >= 0)
                        p->sealed = buffer_bytes(out);
                p->n_endpoints = 0;
        }
        explicit_bzero(key, sizeof(key));
}

static int make_presence(Account *a, Presence presence) {
        _cleanup_(buffer_done) Buffer sealed = BUFFER_NULL;
        uint64_t last = store_presence_seq(a->store);
        PresenceRecord p = {.epoch = a->identity.epoch,
                .presence = presence,
                .n_endpoints = a->endpoints.n,
                .seq = MAX(last + 1, loop_realtime(a->loop) / USEC_PER_MSEC)};

        memcpy(p.account, sign_key_public(&a->identity.account), KEY_SIZE);
        memcpy(p.device, sign_key_public(&a->identity.device), KEY_SIZE);
        for (size_t i = 0; i < a->endpoints.n; i++)
                p.endpoints[i] = text_bytes(a->endpoints.text[i]);
        (void)store_set_presence_seq(a->store, p.seq); /* without it the clock has to do */
        buffer_clear(&a->presence);
        seal_endpoints(a, &p, &sealed);
        return presence_encode(&p, &a->identity.device, &a->presence);
}

void account_publish(Account *a, const Endpoints *endpoints) {
        if (endpoints != &a->endpoints)
                a->endpoints = *endpoints;
        a->published = true;
        if (make_presence(a, PRESENCE_ONLINE) < 0)
                buffer_clear(&a->presence);
        a->callbacks->published(a->userdata, buffer_bytes(&a->presence));
        directory_announce(a->directory, account_is_active(a), buffer_bytes(&a->presence));
}

int account_change_presence_key(Account *a) {
        uint8_t key[BOX_KEY_SIZE];
        int r;

        r = make_presence_key(a, key);
        explicit_bzero(key, sizeof(key));
        if (r >= 0 && a->published)
                account_publish(a, &a->endpoints);
        return r;
}

const Endpoints *account_endpoints(const Account *a) {
        return &a->endpoints;
}

/* Operations */

static void operation_end(Account *a, Code code, const char *text) {
        AccountDoneFn fn = a->fn;

        a->operation = OPERATION_NONE;
        a->fn = NULL;
        loop_timer_set(a->deadline, USEC_INFINITY);
        if (fn)
                fn(a->fn_userdata, code, text);
}

static void operation_fail(Account *a, Code code, const char *text) {
        a->operation = OPERATION_BEGUN; /* what the directory says while it stops is no news */
        if (!account_is_active(a))
                directory_stop(a->directory);
        operation_end(a, code, text);
}

/* True when nobody else is being served. */
static bool operation_begin(Account *a, AccountDoneFn fn, void *userdata) {
        if (a->operation != OPERATION_NONE) {
                fn(userdata, CODE_TOO_MANY,
                        "another account operation is under way: wait for its answer");
                return false;
        }
        a->operation = OPERATION_BEGUN;
        a->was_claimed = a->identity.claimed;
        a->was_logged_in = a->identity.logged_in;
        a->fn = fn;
        a->fn_userdata = userdata;
        return true;
}

#define FULL "the disk is full: the account could not be kept"
#define NOT_WRITTEN "the account could not be written to disk"

/* A name that is claimed with keys that were never written is lost to everybody. */
static void on_saved(Account *a, int error) {
        if (error < 0) {
                operation_end(a, CODE_STORAGE, error == -ENOSPC ? FULL : NOT_WRITTEN);
                return;
        }
        a->asked = false;
        directory_stop(a->directory); /* sessions say HELLO with the record of the new name */
        directory_start(a->directory);
        a->operation = OPERATION_REGISTER;
}

static void operation_written(Account *a, int error) {
        if (a->operation == OPERATION_SAVE)
                on_saved(a, error);
        if (a->operation != OPERATION_COMMIT)
                return;
        if (error < 0) {
                /* What is in memory must be what is on disk. */
                a->identity.claimed = a->was_claimed;
                a->identity.logged_in = a->was_logged_in;
                operation_fail(a, CODE_STORAGE, error == -ENOSPC ? FULL : NOT_WRITTEN);
                return;
        }
        loop_timer_set(a->renewal, loop_now(a->loop) + USEC_PER_DAY);
        a->callbacks->active(a->userdata, a->want_active);
        if (!a->want_active)
                directory_stop(a->directory);
        operation_end(a, CODE_OK, "");
}

/* Of an operation that has ended meanwhile it says nothing about the present one. */
static void on_committed(void *userdata, int error) {
        Account *a = userdata;

        if (store_batch_number(a->store) > a->batch)
                operation_written(a, error);
}

static int operation_save(Account *a) {
        a->batch = store_batch_number(a->store);
        return store_after_commit(a->store, on_committed, a);
}

static void operation_commit(Account *a, bool active) {
        int r;

        a->operation = OPERATION_COMMIT;
        loop_timer_set(a->deadline, USEC_INFINITY); /* the disk answers, whatever it says */
        a->want_active = active;
        a->identity.logged_in = active;
        r = store_save_identity(a->store, &a->identity);
        if (r >= 0)
                r = operation_save(a);
        if (r < 0)
                operation_written(a, r);
}

static void on_registered(void *userdata, Code code, const char *text) {
        Account *a = userdata;

        if (a->operation != OPERATION_REGISTER)
                return;
        a->asked = false;
        if (code == CODE_TRACKER_UNREACHABLE || code == CODE_TIMEOUT)
                return; /* another attempt follows until the deadline */
        if (code != CODE_OK) {
                operation_fail(a, code == _CODE_MAX ? CODE_NOT_ALLOWED : code, text);
                return;
        }
        a->identity.claimed = true;
        operation_commit(a, true);
}

static void register_go_on(Account *a) {
        char text[SESSION_ERROR_SIZE + 64];

        if (a->operation != OPERATION_REGISTER || a->asked)
                return;
        if (directory_is_connected(a->directory)) {
                a->asked = directory_register(a->directory, on_registered, a) >= 0;
                return;
        }
        if (!directory_has_failed(a->directory))
                return;
        snprintf(text, sizeof(text), "no tracker could be reached: %s",
                directory_error(a->directory));
        operation_fail(a, CODE_TRACKER_UNREACHABLE, text);
}

void account_trackers_changed(Account *a) {
        account_look_at_times(a);
        register_go_on(a);
}

static void on_deadline(void *userdata) {
        Account *a = userdata;
        char text[SESSION_ERROR_SIZE + 64];

        snprintf(text, sizeof(text), "no answer from a tracker in time: %s",
                directory_error(a->directory));
        operation_fail(a, CODE_TIMEOUT, text);
}

static bool tracker_is_good(const char *tracker) {
        EndpointKey e;

        return !tracker || !tracker[0] ||
                (strlen(tracker) < TRACKER_TEXT_MAX && endpoint_key_parse(tracker, &e) >= 0 &&
                        key_is_valid(e.key));
}

static void account_use_tracker(Account *a, const char *tracker) {
        if (tracker && tracker[0])
                snprintf(a->identity.tracker, TRACKER_TEXT_MAX, "%s", tracker);
        a->callbacks->use_tracker(a->userdata, a->identity.tracker);
}

#define BAD_TRACKER                                                                                \
        "a tracker's address is host:port#key, as p2pchat-tracker --print-address prints it"

void account_register(
        Account *a, const char *name, const char *tracker, AccountDoneFn fn, void *userdata) {
        char folded[NAME_SIZE];
        int r;

        if (name_fold(name, strlen(name), folded) < 0) {
                fn(userdata, CODE_BAD_NAME,
                        "a name is 1 to 32 of a-z 0-9 . _ - and begins with a letter or digit");
                return;
        }
        if (!tracker_is_good(tracker)) {
                fn(userdata, CODE_INVALID_ARGS, BAD_TRACKER);
                return;
        }
        if (account_exists(a)) {
                fn(userdata, CODE_ACCOUNT_EXISTS,
                        "this device has an account already: chatc login NAME activates it");
                return;
        }
        if (!operation_begin(a, fn, userdata))
                return;
        account_use_tracker(a, tracker);
        if (directory_n_trackers(a->directory) == 0) {
                operation_end(a, CODE_TRACKER_UNREACHABLE,
                        "no tracker is known: give one with --tracker host:port#key, or name it in "
                        "p2pchatd.conf");
                return;
        }
        memcpy(a->identity.name, folded, NAME_SIZE);
        r = account_renew(a);
        if (r >= 0)
                r = operation_save(a);
        if (r < 0) {
                operation_end(a, CODE_STORAGE, r == -ENOSPC ? FULL : NOT_WRITTEN);
                return;
        }
        loop_timer_set(a->deadline, loop_now(a->loop) + ACCOUNT_ANSWER_TIME);
        a->operation = OPERATION_SAVE;
}

void account_login(
        Account *a, const char *name, const char *tracker, AccountDoneFn fn, void *userdata) {
        char folded[NAME_SIZE];

        if (name_fold(name, strlen(name), folded) < 0)
                fn(userdata, CODE_BAD_NAME,
                        "a name is 1 to 32 of a-z 0-9 . _ - and begins with a letter or digit");
        else if (!tracker_is_good(tracker))
                fn(userdata, CODE_INVALID_ARGS, BAD_TRACKER);
        else if (!account_exists(a))
                fn(userdata, CODE_NOT_LOGGED_IN,
                        "no account is kept on this device: chatc register NAME makes one");
        else if (!streq(folded, a->identity.name))
                fn(userdata, CODE_ACCOUNT_EXISTS,
                        "the account that is kept on this device has another name");
        else if (operation_begin(a, fn, userdata)) {
                account_use_tracker(a, tracker);
                operation_commit(a, true);
        }
}

void account_logout(Account *a, AccountDoneFn fn, void *userdata) {
        if (!account_is_active(a))
                fn(userdata, CODE_NOT_LOGGED_IN, "no account is logged in");
        else if (operation_begin(a, fn, userdata))
                operation_commit(a, false);
}

void account_forget(Account *a, void *userdata) {
        if (a->fn_userdata == userdata)
                a->fn = NULL;
}

/* Start and end */

static int account_load(Account *a) {
        int r;

        r = store_load_identity(a->store, &a->identity);
        if (r != 0)
                return r < 0 ? r : 0;
        sign_key_generate(&a->identity.account);
        sign_key_generate(&a->identity.device);
        a->identity.epoch = 1;
        return store_save_identity(a->store, &a->identity);
}

int account_new(Store *store, Loop *loop, uint32_t heartbeat, const AccountCallbacks *callbacks,
        void *userdata, Account **ret) {
        Account *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        *a = (Account){.store = store,
                .loop = loop,
                .callbacks = callbacks,
                .userdata = userdata,
                .privacy = {.listed = true}};
        r = account_load(a);
        if (r >= 0)
                r = loop_timer_new(loop, on_deadline, a, &a->deadline);
        if (r >= 0)
                r = loop_timer_new(loop, on_renewal, a, &a->renewal);
        if (r < 0) {
                account_free(a);
                return r;
        }
        a->local = (LocalIdentity){.account = &a->identity.account,
                .device = &a->identity.device,
                .heartbeat = heartbeat};
        loop_random(loop, a->local.boot_nonce, BOOT_NONCE_SIZE);
        account_set_local(a);
        *ret = a;
        return 0;
}

Account *account_free(Account *a) {
        if (!a)
                return NULL;
        store_forget(a->store, a);
        loop_timer_free(a->deadline);
        loop_timer_free(a->renewal);
        identity_done(&a->identity);
        buffer_done(&a->presence);
        free(a);
        return NULL;
}

void account_set_tls(Account *a, TlsIdentity *tls) {
        a->local.tls = tls;
}

void account_set_heartbeat(Account *a, uint32_t heartbeat) {
        a->local.heartbeat = heartbeat;
}

void account_set_directory(Account *a, Directory *d) {
        a->directory = d;
}

void account_start(Account *a) {
        a->started = true;
        a->callbacks->use_tracker(a->userdata, a->identity.tracker);
        if (!account_is_active(a))
                return;
        loop_timer_set(a->renewal, loop_now(a->loop) + USEC_PER_DAY);
        if (account_is_due(a) && account_renew(a) >= 0 && store_commit(a->store) < 0)
                renewal_failed(a);
        a->callbacks->active(a->userdata, true);
}
