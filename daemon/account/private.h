/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of account/ share. */

#include "account/account.h"
#include "crypto/password.h"

typedef struct PasswordTry PasswordTry; /* password.h */

typedef enum Operation {
        OPERATION_NONE,
        OPERATION_BEGUN, /* nothing to wait for yet */
        OPERATION_SAVE, /* keys and name must be on disk before a tracker has them */
        OPERATION_REGISTER, /* waits for a tracker, then for its answer */
        OPERATION_PASSWORD, /* is proven or set, at a tracker */
        OPERATION_COMMIT, /* all decided; waits for the disk */
} Operation;

/* What an operation may change, and what holds if it fails. */
typedef struct Standing {
        bool claimed, lan_only, logged_in;
        char tracker[TRACKER_TEXT_MAX];
} Standing;

struct Account {
        Store *store;
        Loop *loop;
        Directory *directory;
        const AccountCallbacks *callbacks;
        void *userdata;
        Identity identity;
        LocalIdentity local;
        usec_t certified, recorded; /* when certificate and record were made; 0: they are to be */
        uint64_t seq; /* of the record */
        Buffer replaced_by; /* the newest record of another device that beats this one's */
        bool handed_over; /* and nobody is asked where that one is */
        bool replacing; /* it was active, and the batch that says so is open */
        uint64_t seen_epoch; /* of this device itself, that it does not know of */
        AccountPrivacy privacy, stated; /* as it is to be, and as the record says */
        Endpoints endpoints;
        bool started, published;
        bool prekey_lost; /* that of the record */
        Buffer presence;
        ChosenPresence chosen;
        bool idle;
        usec_t presence_made; /* the record */
        LoopTimer *presence_timer; /* the next */
        LoopTimer *renewal;

        /* What a caller waits for. */
        Operation operation;
        uint64_t batch; /* of SAVE and COMMIT */
        bool asked; /* the tracker has the claim */
        bool want_active; /* what the commit makes true */
        Standing was; /* as on disk */
        bool publishing; /* an account that was for the LAN alone */
        char publish_at[TRACKER_TEXT_MAX]; /* the tracker to use while `publishing` */
        PasswordCost password_least; /* that a tracker may ask for */
        PasswordTry *password; /* that is under way */
        char *old_password; /* to be proven, and */
        char *new_password; /* to be set then; NULL: none is */
        uint8_t password_at[KEY_SIZE]; /* the tracker where it is, */
        Buffer statement; /* and with what */
        AccountDoneFn fn;
        void *fn_userdata;
        LoopTimer *deadline;
};

/* A new certificate and a new record, in this batch; those before where they cannot be kept. */
int account_renew(Account *a);

/* The same where it is due. */
void account_look_at_times(Account *a);

/* When it may be due next. */
void account_look_later(Account *a);

/* What comes of these is told to operation_password_done(): that PASSWORD is the one of the
 * account; that `new_password` is, from this batch on. */
void account_prove_password(Account *a, const char *password);
void account_set_password(Account *a);
void operation_password_done(Account *a, Code code, const char *text);

/* What is waited for cannot be any more: another device is the active one. */
void operation_replaced(Account *a);

/* Sessions of a device that was replaced. */
void account_watch_successor(Account *a);

int account_load_replaced_by(Account *a);

/* The highest that is known to have been taken. */
uint64_t account_newest_epoch(const Account *a);

/* Wipes and frees. */
char *password_wipe(char *password);

/* An operation has taken too long. */
void account_on_deadline(void *userdata);

/* max(last + 1, ms), and not further ahead than others take. */
uint64_t account_next_seq(uint64_t last, usec_t now);

/* A presence record that says what is so now. */
void account_on_presence_timer(void *userdata);

/* Not more often than one in ACCOUNT_PRESENCE_INTERVAL. */
void account_publish_soon(Account *a);
