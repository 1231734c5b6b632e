/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of account/ share. */

#include "account/account.h"
#include "crypto/password.h"
#include "store/message.h"

typedef struct PasswordTry PasswordTry; /* password.h */

typedef struct PasswordKept {
        uint8_t tracker[KEY_SIZE]; /* keeps the OPRF key */
        OprfRequest asked; /* of it, as the signature of a login has it */
        uint64_t key_id;
        PasswordCost cost;
        PasswordKeys keys;
} PasswordKept;

/* L is what the tracker keeps for the account; NULL: it has lost the password. KEPT of the account
 * is filled in where CODE is CODE_OK. */
typedef void (*ProvenFn)(Account *a, Code code, const char *text, const DirectoryLogin *l);

typedef enum Operation {
        OPERATION_NONE,
        OPERATION_BEGUN, /* nothing to wait for yet */
        OPERATION_SAVE, /* keys and name must be on disk before a tracker has them */
        OPERATION_REGISTER, /* waits for a tracker, then for its answer */
        OPERATION_ASK, /* something of a tracker that is connected: `ask` */
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
        bool epoch_taken; /* since the start */
        bool anew_due; /* the new one could not be written yet */
        bool anew_more; /* rows after this one are to be sent anew */
        OutboxRow anew_after;
        usec_t renew_from; /* what can wait is not renewed before */
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
        void (*ask)(Account *a);
        ProvenFn proven;
        PasswordKept kept; /* of the password that was tried last */
        char login_name[NAME_SIZE]; /* of an account that is not kept here; "" */
        uint8_t login_met[KEY_SIZE]; /* whose name that is, */
        Endpoints login_met_at; /* and where it was met last */
        uint32_t login_asked; /* trackers, each of which may be the one that keeps it */
        Code login_refused; /* by all of them */
        char login_text[SESSION_ERROR_SIZE];
        bool taking_over; /* the epoch on disk is to be everybody's */
        bool deleting, gone; /* it is to be; it was, and nothing else is done any more */
        char *old_password; /* to be proven, and */
        char *new_password; /* to be set then; NULL: none is */
        uint8_t password_at[KEY_SIZE]; /* the tracker where it is, */
        Buffer statement; /* and with what */
        AccountDoneFn fn;
        void *fn_userdata;
        LoopTimer *deadline;
};

/* What is on disk, instead of what is in memory. */
int account_load_again(Account *a);

/* A new certificate and a new record, in this batch; those before where they cannot be kept. */
int account_renew(Account *a);

/* The same where it is due. */
void account_look_at_times(Account *a);

/* When it may be due next. */
void account_look_later(Account *a);

/* One operation at a time; false when another one is under way. It ends by failing, which restores
 * what was, or by what its commit makes true: that the account is active, or not. */
bool operation_begin(Account *a, AccountDoneFn fn, void *userdata);
void operation_fail(Account *a, Code code, const char *text);
void operation_fail_storage(Account *a, int error);
void operation_commit(Account *a, bool active);

/* The identity is being written, and a tracker is to take its record then. */
void operation_save(Account *a);

/* Asks once a tracker is connected. Where the account is not active, trackers hear nothing of it.
 */
void operation_at_tracker(Account *a, void (*ask)(Account *a));

/* "": NULL. False, with the operation over, where there is no memory. */
bool operation_note_password(Account *a, char **to, const char *password);

#define BAD_NAME "a name is 1 to 32 of a-z 0-9 . _ - and begins with a letter or digit"
#define BAD_TRACKER                                                                                \
        "a tracker's address is host:port#key, as p2pchat-tracker --print-address prints it"
#define REPLACED "this account is used on another device now: chatc login NAME moves it back"

bool account_tracker_is_good(const char *tracker);

/* TRACKER NULL or "": as before. */
void account_set_tracker(char to[static TRACKER_TEXT_MAX], const char *tracker);

/* Logging in (login.c). The epoch is on disk: true to go on; the tracker has taken the record; a
 * record of yet another device was seen; what was to be on disk is not. */
bool login_saved(Account *a);
void login_registered(Account *a);
void login_beaten(Account *a);
void login_undo(Account *a);

/* PASSWORD is shown to the tracker that keeps it to be that of the account; or to this TRACKER to
 * be that of `login_name`. */
void password_prove(Account *a, const char *password, const uint8_t *tracker, ProvenFn fn);

/* `new_password` is that of the account from this batch on; or the one of KEPT is still, with a
 * backup of the present epoch. Both tell operation_password_done(). */
void account_set_password(Account *a);
void account_renew_backup(Account *a);
void operation_password_done(Account *a, Code code, const char *text);

/* 1, where the account has a password as far as it is known here; the tracker that keeps it, and
 * the statement, which is in the map. */
int account_find_password(Account *a, uint8_t ret_tracker[static KEY_SIZE], AccountStatement *ret);

/* What is waited for cannot be any more: another device is the active one. */
void operation_replaced(Account *a);

/* Sessions of a device that was replaced. */
void account_watch_successor(Account *a);

/* RECORD is one of this device, which it does not know; what follows. False: it cannot be of before
 * the store was restored. */
bool account_is_ahead(const Account *a, const Record *record);
bool account_see_ahead(Account *a, const Record *record);

/* What waits is sent anew, where that was begun; the new epoch is written, which could not be. */
void account_send_anew(Account *a);
void account_begin_epoch_again(Account *a);

/* What a device of this account seals its endpoints with until it knows better: other devices of it
 * can tell. */
void account_derive_presence_key(const Account *a, uint64_t epoch,
        const uint8_t device[static KEY_SIZE], uint8_t ret[static BOX_KEY_SIZE]);

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
