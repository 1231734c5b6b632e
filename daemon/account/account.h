/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The account of this device: making it and claiming its name, logging in and out, renewing its
 * certificate and record, saying where it can be reached.
 *
 * At most one account is kept. Until its name is claimed it is a draft, which another Register
 * replaces; the keys stay the same, so that a claim whose answer was lost is found again. One for
 * the LAN alone claims its name only when it is published, and stays the same account.
 */

#include "crypto/password.h"
#include "directory/directory.h"
#include "store/contact.h"
#include "store/identity.h"

typedef struct Account Account;

typedef struct AccountCallbacks {
        /* Logged in or out, durably; listening and links follow. */
        void (*active)(void *userdata, bool active);

        /* What account_presence() is now. */
        void (*published)(void *userdata, Bytes presence);

        /* What account_own_presence() is now is another one. */
        void (*own_presence)(void *userdata);

        /* What account_tracker() is now. */
        void (*use_tracker)(void *userdata, const char *address);

        /* The store is older than what was published: from now on nothing that waits may be sent;
         * and TAKEN: what is sent has new places, and links and all else that said the old epoch
         * are to be made anew. */
        void (*new_epoch)(void *userdata, bool taken);

        /* Another device is the active one, durably; after `active`. Also from account_start(). */
        void (*replaced)(void *userdata);

        /* The account is about to be deleted: what others are to hear, in the open batch. And it
         * is, durably; after `active`: nothing of it is to stay in memory, and the store begins
         * anew. */
        void (*giving_up)(void *userdata);
        void (*deleted)(void *userdata);
} AccountCallbacks;

/* Loads what is kept. HEARTBEAT in s. The callbacks are first called from account_start(). */
int account_new(Store *store, Loop *loop, uint32_t heartbeat, const AccountCallbacks *callbacks,
        void *userdata, Account **ret);
Account *account_free(Account *a);

/* What is made from the account's keys or account_local() comes later: the TLS identity of the
 * device key, and the directory. */
void account_set_tls(Account *a, TlsIdentity *tls);

/* NULL before it goes: what was asked of it is not waited for any more. */
void account_set_directory(Account *a, Directory *d);
void account_start(Account *a);

/* Keys are made at the first start, so there is always something to show to a tracker; an account
 * it becomes by registering. */
const LocalIdentity *account_local(const Account *a);
const Identity *account_identity(const Account *a);
bool account_exists(const Account *a);
bool account_is_active(const Account *a);
bool account_is_lan_only(const Account *a);

/* A record of this account that verified beats the one of this device: another device has taken the
 * account over, and this one signs and acknowledges nothing any more. account_is_active() is false
 * then, and true again after account_login(). */
bool account_is_replaced(const Account *a);

/* That record, as signed; the newest of them. Empty where none was seen. */
Bytes account_replaced_by(const Account *a);

/* A device that was replaced stays at its trackers, where it says nothing of the account and asks
 * where the other device is; false: it has nothing to give any more, and leaves them. */
void account_set_handing_over(Account *a, bool handing_over);
bool account_is_handing_over(const Account *a);

/* There may be another presence key on disk, that of the device before, which contacts have: from
 * now on it is used. */
void account_presence_key_changed(Account *a);

/* RECORD, decoded from OUTER, is of this account, and came from wherever. What it shows is acted on
 * in the open batch; it is verified once more where it would replace this device. */
void account_see_own_record(Account *a, const Record *record, Bytes outer);

/* What is on this device is older than what it has published: an epoch that nobody has seen, from
 * the open batch on; nothing is signed in the one before. WHY goes to the journal. */
int account_take_new_epoch(Account *a, const char *why);

/* Somebody says that he has more of what this device wrote in EPOCH than is here. He is believed
 * once, and not after a new epoch. */
void account_behind(Account *a, uint64_t epoch, const char *why);

/* The tracker to use: the one given with Register or Login; "": those of the configuration; NULL:
 * none. */
const char *account_tracker(const Account *a);

/* Who may know what, as the record says it; a new one is made when that changes. Until this is
 * called: everybody, everything. */
typedef struct AccountPrivacy {
        bool listed;
        Visibility presence, endpoints;
} AccountPrivacy;

void account_set_privacy(Account *a, const AccountPrivacy *p);

/* Another presence key from now on: who has only the one before does not find this device any more,
 * where only contacts do. The others are to be given the new one. */
int account_change_presence_key(Account *a);

/* The prekey of the present record is known to be of no use: a new one, and a record that names it,
 * in this batch; published after it. */
void account_renew_prekey(Account *a);

/* The wall clock was set: what goes by it is looked at. */
void account_clock_changed(Account *a);

/* Offered from now on, in s. */
void account_set_heartbeat(Account *a, uint32_t heartbeat);

/* Where this device listens, told to the directory as presence. Texts "host:port". */
void account_publish(Account *a, const Endpoints *endpoints);

/* What was published last; unused texts are zeros. */
const Endpoints *account_endpoints(const Account *a);

/* The newest presence record, signed; empty before the first. */
Bytes account_presence(const Account *a);

/* What the user says of himself, and whether he is there: changes of it are published, one in
 * ACCOUNT_PRESENCE_INTERVAL and always the last. To nobody where his presence is for nobody, whose
 * record says "online". */
#define ACCOUNT_PRESENCE_INTERVAL USEC_PER_SEC

typedef struct OwnPresence {
        Presence presence;
        const char *note; /* "" */
        bool idle; /* away by himself: nothing was chosen */
} OwnPresence;

OwnPresence account_own_presence(const Account *a);

/* From the commit of this batch on. PRESENCE is not offline; NOTE is UTF-8 of at most
 * PRESENCE_NOTE_MAX bytes. */
int account_choose_presence(Account *a, Presence presence, const char *note);

/* Whether there is input from the user; not kept. */
void account_set_idle(Account *a, bool idle);

#define ACCOUNT_ANSWER_TIME (18 * USEC_PER_SEC)

/* CODE_OK after the commit, or a code with a sentence. Called once, possibly at once. */
typedef void (*AccountDoneFn)(void *userdata, Code code, const char *text);

/* TRACKER NULL or "": those that are configured. A second one at the same time is refused. An
 * account for the LAN alone is published by this; until that has gone well, it is as it was.
 * PASSWORD "": none; else a tracker keeps what it takes to restore the account with it. */
#define PASSWORD_MAX 1023

void account_register(Account *a, const char *name, const char *password, const char *tracker,
        AccountDoneFn fn, void *userdata);

/* For the LAN alone: no tracker is asked. */
void account_register_on_lan(Account *a, const char *name, AccountDoneFn fn, void *userdata);

/* Of the account that is kept here; PASSWORD is proven to its tracker where it has one. */
void account_login(Account *a, const char *name, const char *password, const char *tracker,
        AccountDoneFn fn, void *userdata);

/* OLD "": it has none so far. */
void account_change_password(
        Account *a, const char *old, const char *password, AccountDoneFn fn, void *userdata);

/* The least work that a tracker may ask for to stretch a password; PASSWORD_COST_DEFAULT. */
void account_set_password_least(Account *a, const PasswordCost *least);
void account_logout(Account *a, AccountDoneFn fn, void *userdata);

/* The account is given up for good. PASSWORD is proven where it has one. Of one that is for the LAN
 * alone, or that another device has taken over, only what is here goes. After CODE_OK nothing can
 * be asked any more. */
void account_delete(Account *a, const char *password, AccountDoneFn fn, void *userdata);

/* The directory has news: its sessions changed. */
void account_trackers_changed(Account *a);
void account_forget(Account *a, void *userdata);
