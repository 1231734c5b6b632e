/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The account of this device: making it and claiming its name, logging in and out, renewing its
 * certificate and record, saying where it can be reached.
 *
 * At most one account is kept. Until its name is claimed it is a draft, which another Register
 * replaces; the keys stay the same, so that a claim whose answer was lost is found again.
 */

#include "directory/directory.h"
#include "store/contact.h"
#include "store/identity.h"

typedef struct Account Account;

typedef struct AccountCallbacks {
        /* Logged in or out, durably; listening and links follow. */
        void (*active)(void *userdata, bool active);

        /* What account_presence() is now. */
        void (*published)(void *userdata, Bytes presence);

        /* The trackers to use: the configuration's, or the one given with Register or Login. */
        void (*use_tracker)(void *userdata, const char *address);
} AccountCallbacks;

/* Loads what is kept. HEARTBEAT in s. The callbacks are first called from account_start(). */
int account_new(Store *store, Loop *loop, uint32_t heartbeat, const AccountCallbacks *callbacks,
        void *userdata, Account **ret);
Account *account_free(Account *a);

/* What is made from the account's keys or account_local() comes later: the TLS identity of the
 * device key, and the directory. */
void account_set_tls(Account *a, TlsIdentity *tls);
void account_set_directory(Account *a, Directory *d);
void account_start(Account *a);

/* Keys are made at the first start, so there is always something to show to a tracker; an account
 * it becomes by registering. */
const LocalIdentity *account_local(const Account *a);
const Identity *account_identity(const Account *a);
bool account_exists(const Account *a);
bool account_is_active(const Account *a);

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

/* Offered from now on, in s. */
void account_set_heartbeat(Account *a, uint32_t heartbeat);

/* Where this device listens, told to the directory as presence. Texts "host:port". */
void account_publish(Account *a, const Endpoints *endpoints);

/* What was published last; unused texts are zeros. */
const Endpoints *account_endpoints(const Account *a);

/* The newest presence record, signed; empty before the first. */
Bytes account_presence(const Account *a);

#define ACCOUNT_ANSWER_TIME (18 * USEC_PER_SEC)

/* CODE_OK after the commit, or a code with a sentence. Called once, possibly at once. */
typedef void (*AccountDoneFn)(void *userdata, Code code, const char *text);

/* TRACKER NULL or "": those that are configured. A second one at the same time is refused. */
void account_register(
        Account *a, const char *name, const char *tracker, AccountDoneFn fn, void *userdata);
void account_login(
        Account *a, const char *name, const char *tracker, AccountDoneFn fn, void *userdata);
void account_logout(Account *a, AccountDoneFn fn, void *userdata);

/* The directory has news: its sessions changed. */
void account_trackers_changed(Account *a);
void account_forget(Account *a, void *userdata);
