/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Sealed mail, on the side of a user's daemon: leaves what cannot be delivered in the mailboxes of
 * people who are away, looks whether it is still there, takes it back when it came another way, and
 * collects what was left for this account.
 *
 * What is to be left and what is owed are rows; in memory there are targets, the people for whom
 * something is to be done, each with one job at a time. So a message goes on being brought over a
 * link as if there were no mail: whichever comes first is shown, and the receipt ends both.
 *
 * mail.c has the targets and their turns, mail-deposit.c seals and leaves, mail-status.c asks and
 * withdraws, mail-collect.c collects, mail-take.c opens what was collected.
 */

#include "crypto/stamp.h"
#include "delivery/private.h"
#include "store/mail.h"
#include "store/prekey.h"

/* So long a link has before what is new is sealed. */
#define MAIL_HOLD (3 * USEC_PER_SEC)

/* After a refusal, or without an answer. */
#define MAIL_RETRY_FIRST (30 * USEC_PER_SEC)
#define MAIL_RETRY_LAST USEC_PER_HOUR

/* A mailbox is asked about what lies there when its tracker is back, and so often. */
#define MAIL_LOOK_INTERVAL USEC_PER_DAY

/* What was collected and not receipted for so long is sealed again. */
#define MAIL_GONE_WAIT USEC_PER_DAY

/* About rooms, for one person, and how often they are refused before they are given up. */
#define MAIL_NOTICES_MAX 4
#define MAIL_NOTICE_TRIES 8

/* People in memory; the others are found in the rows when there is room. */
#define MAIL_TARGETS_MAX 1024

/* Jobs under way. */
#define MAIL_JOBS_MAX 8

typedef struct MailTarget MailTarget;
typedef struct MailJob MailJob;
typedef struct MailCollector MailCollector;

/* A question to one tracker, part of a job. */
typedef struct MailAsk {
        MailJob *job;
        Session *session; /* while it is open */
        uint8_t tracker[KEY_SIZE];
        bool open; /* an answer will come */
        bool done; /* OK came */
} MailAsk;

typedef enum MailJobKind {
        JOB_MESSAGE, /* leaves an envelope with an own message, */
        JOB_RECEIPT, /* or with a receipt, */
        JOB_NOTICE, /* or with a notice about a room */
        JOB_STATUS,
        JOB_WITHDRAW,
} MailJobKind;

struct MailJob {
        MailTarget *target;
        MailJobKind kind;
        MailAsk asks[DIRECTORY_TRACKERS_MAX];
        size_t n_asks, n_open;
        Code code; /* of the refusal that counts */
        bool refused; /* by a tracker that is there */
        usec_t retry_after;

        /* Leaving an envelope */
        MailItem item;
        Uuid message;
        MailOwed owed;
        Buffer envelope;
        Buffer token;
        Stamp stamp;
        bool stamping, stamped; /* it is to be found; it was */
        bool renewed; /* the recipient has another prekey, which is known now */

        /* STATUS */
        MailItem looked[MAIL_STATUS_MAX];
        size_t n_looked;
        bool held[MAIL_STATUS_MAX][DIRECTORY_TRACKERS_MAX]; /* by whom */
        bool gone[MAIL_STATUS_MAX], rekeyed[MAIL_STATUS_MAX];
};

struct MailTarget {
        Mail *mail;
        uint8_t account[KEY_SIZE];
        uint32_t number;
        usec_t due; /* monotonic */
        usec_t wait; /* before the next try, doubled each time; 0: all is well */
        OutboxPosition sealed; /* what is before has an envelope, or its time is over */
        OutboxPosition withdrawn, asked; /* the same for the other walks */
        bool owed; /* something, from the present batch on */
        bool look; /* ask about all envelopes */
        bool withdraw; /* there may be envelopes of what was delivered or given up */
        bool renewed; /* the last job has failed for an old prekey */
        Buffer notices[MAIL_NOTICES_MAX]; /* the first is left first */
        unsigned n_notices, refused; /* how often in a row */
        MailJob *job;
        UT_hash_handle hh;
};

/* Somebody who was not known and has left mail: is the name his? */
typedef struct MailSender {
        Mail *mail;
        uint8_t account[KEY_SIZE];
        bool answered, confirmed;
        struct MailSender *prev, *next;
} MailSender;

#define MAIL_SENDERS_MAX 64 /* who are asked about at once; the others show as name~XXXX */

struct Mail {
        Delivery *delivery;
        Loop *loop;
        Store *store;
        MailTarget *targets;
        unsigned n_jobs;
        LoopTimer *timer; /* the first target's time, or the walk's */
        LoopDefer *slice; /* a stamp is being made */
        MailJob *stamping;
        bool started;
        bool left_out, missed; /* somebody, for want of room; before where the walk is */
        uint32_t walked; /* where the walk has stopped; 0: it begins anew */
        bool owed; /* something, from the present batch on */
        Code refused; /* the last envelope; CODE_OK: it was taken */
        usec_t walk; /* over all accounts with rows: when; USEC_INFINITY */
        usec_t again; /* until a walk, since something could not be taken back; 0: it could */
        usec_t collect; /* the first walk after that collects, whether or not there is mail */
        MailCollector *collectors[DIRECTORY_TRACKERS_MAX];
        unsigned unopened, unopened_so_far; /* pieces, when all was fetched; of this round */
        MailSender *senders;
        unsigned n_senders;
};

int mail_new(Delivery *d, Mail **ret);
Mail *mail_free(Mail *m);
void mail_start(Mail *m);
void mail_stop(Mail *m);

/* A batch was not kept, and with it what became of envelopes. */
void mail_batch_failed(Mail *m);

/* The tracker of S can be asked; it has mail for this account. */
void mail_tracker_ready(Mail *m, Session *s);
void mail_waiting(Mail *m, Session *s);

void mail_get(const Mail *m, DeliveryMail *ret);

/* Something is to be left for P, or is owed to him, and there is no link. */
void mail_wake(Mail *m, const uint8_t *account, uint32_t number);

/* Messages to P need not be sent any more: their envelopes are taken back. */
void mail_take_back(Mail *m, const uint8_t *account, uint32_t number);

/* Something about a room; nothing of it is a row. -ENOBUFS: there is no room. */
int mail_leave_notice(Mail *m, const Contact *c, Bytes notice);

/* P has a link: what is owed to him is said over it. */
void mail_peer_reached(Mail *m, Peer *p);

/* The deposit token for ACCOUNT, empty for who is no contact. The same for weeks. */
int mail_make_token(Delivery *d, const Contact *c, Buffer *out);
void mail_take_token(Delivery *d, const Contact *c, Bytes token);

/* A receipt for FEED of C's, in the batch that is open; it is sealed after that has been kept. */
int mail_owe_receipt(Mail *m, const Contact *c, uint32_t feed, ReceiptState state);

/* The same for all that was read of C's, who has no link. */
void mail_owe_read(Mail *m, const Contact *c);
void mail_owed_kept(Mail *m);

/* mail.c, for the others */
void mail_target_later(MailTarget *t, usec_t wait);
void mail_target_again(MailTarget *t); /* another turn, soon */
void mail_drop_notice(MailTarget *t); /* the first */
MailJob *mail_job_new(MailTarget *t, MailJobKind kind);
void mail_job_end(MailJob *j); /* frees it; its target goes on */

/* Asks all trackers that are ready, by SEND, which makes the request and is told the ask. Without
 * any the job fails. */
typedef int (*MailSendFn)(MailJob *j, Session *s, MailAsk *a);
void mail_job_ask(MailJob *j, MailSendFn send);

/* An answer to A came: false while others are awaited. */
bool mail_job_answered(MailAsk *a, Code code);

/* A tracker has not taken back what it should: it is asked again, and that ever more seldom. */
void mail_withdraw_again(Mail *m);

/* mail-deposit.c: 1 when a job was begun, 0 when there is nothing to do, or an error */
int mail_leave_receipt(MailTarget *t);
int mail_leave_message(MailTarget *t);
int mail_seal_notice(MailTarget *t);
void mail_on_slice(void *userdata);

/* mail-status.c, likewise */
int mail_look(MailTarget *t);
int mail_withdraw(MailTarget *t);

/* mail-collect.c */
void mail_collect(Mail *m, Session *s);
void mail_collect_stop(Mail *m);
void mail_senders_known(Mail *m); /* all of whom the directory was asked */

/* mail-take.c: what became of one item */
typedef enum MailTaken {
        MAIL_TAKEN, /* in the batch, or not wanted: COLLECTED after the commit */
        MAIL_UNOPENED, /* sealed to a prekey that is not known here */
        MAIL_LATER, /* it cannot be kept now */
        MAIL_CONFIRMING, /* nor before the directory has said whose name it is */
} MailTaken;

MailTaken mail_take(Mail *m, Bytes envelope);
void mail_senders_free(Mail *m);
