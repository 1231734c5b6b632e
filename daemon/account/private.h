/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of account/ share. */

#include "account/account.h"

typedef enum Operation {
        OPERATION_NONE,
        OPERATION_BEGUN, /* nothing to wait for yet */
        OPERATION_SAVE, /* keys and name must be on disk before a tracker has them */
        OPERATION_REGISTER, /* waits for a tracker, then for its answer */
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

/* An operation has taken too long. */
void account_on_deadline(void *userdata);

/* A presence record that says what is so now. */
void account_on_presence_timer(void *userdata);

/* Not more often than one in ACCOUNT_PRESENCE_INTERVAL. */
void account_publish_soon(Account *a);
