/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A directory node with four clients at a time, which ask it in any order for anything, with signed
 * objects of their own and of each other, and leave mail, while it is restarted and killed and time
 * passes. Of what was acknowledged a small model is kept: a name stays with whom it was given to,
 * nobody's record becomes older, what is told was signed, mail that was taken in is there until it
 * is taken out and then never again, and every request has one answer.
 */

#include <limits.h>

#include "store-dir.h"
#include "tracker-mail.h"

#include "db/db.h"
#include "node/node-internal.h"
#include "util/log.h"

#define CALLERS 4
#define REQUESTS_MAX 256 /* of one connection */
/* What takes long is done so often in a run, at most. */
#define COSTLY_MAX 8

/* After this somebody who has closed is gone, however much he had sent. */
#define GONE_TIME (30 * USEC_PER_SEC)

typedef struct Asked {
        uint64_t type; /* 0: answered */
        const Made *record; /* that came with it */
        unsigned name; /* of a LOOKUP; N_NAMES: by account */
        unsigned account;
        unsigned letter; /* N_LETTERS: none */
        uint64_t limit;
        Known known; /* when it was asked */
        MailKnown mail;
} Asked;

typedef struct Caller {
        RawEnd end;
        unsigned device;
        bool scripted; /* nobody can tell what it has sent, or when it was answered */
        bool deaf; /* it does not read */
        bool wrong; /* its HELLO must be refused */
        bool said_hello, said_mail, open, heard_bye;
        Asked asked[REQUESTS_MAX];
        size_t n_asked;
        bool watches[_ACCOUNT_MAX]; /* or did */
        const Made *heard[_ACCOUNT_MAX]; /* the newest record that it was told */
        uint8_t after[LIST_AFTER_MAX]; /* of the last page */
        size_t after_size;
} Caller;

static StoreDir dir;
static StoreImage empty, killed;
static Net *net;
static DStore *store;
static Node *node;
static NodeLimits limits;
static unsigned registered, n_costly;
static bool damaged; /* the store is, by damage_row() or damage_mail() */
static bool mail_altered; /* nobody can tell what was deposited, or taken */

static Caller callers[CALLERS];
static usec_t asked_at; /* when that was sent which is answered now, at the latest */
static usec_t gone_at[N_DEVICES + 1]; /* when the last connection of that device was closed */
/* A record that the caller is told: somebody has signed it, it is not older than what was known
 * BEFORE, nor than what the caller was told before. */
static const Made *take_record(Caller *c, Bytes record, const Known *before) {
        const Made *m = find_made(record);
        unsigned account;

        MUST(m && m->record.name[0]);
        account = account_of(m);
        MUST(!before || !before->newest[account] || !is_newer(before->newest[account], m));
        MUST(!c->heard[account] || !is_newer(c->heard[account], m));
        c->heard[account] = m;
        know(m);
        return m;
}

static bool is_connected(unsigned device) {
        for (unsigned i = 0; i < CALLERS; i++)
                if (callers[i].end.transport && callers[i].device == device)
                        return true;
        return asked_at < gone_at[device] + GONE_TIME;
}

static void check_presence(const Made *record, Bytes presence) {
        const Made *m = find_made(presence);
        PresenceRecord p;

        MUST(m && !m->record.name[0] && account_of(m) == account_of(record));
        MUST(presence_parse(presence, &p) == 0 && p.presence != PRESENCE_OFFLINE);
        MUST(record->record.presence == VISIBLE_ALL && is_connected(m->device));
}

/* What the node says */

static void take_lookup(Caller *c, const Asked *a, Frame *f) {
        LookupAnswer answer;
        const Made *m;
        int owner;

        MUST(lookup_answer_decode(f, &answer) == 0);
        m = take_record(c, answer.record, &a->known);
        MUST(m->record.expires > asked_at && answer.last_seen <= now());
        if (answer.presence.size > 0)
                check_presence(m, answer.presence);
        MUST(answer.last_seen == 0 || m->record.presence == VISIBLE_ALL);
        if (a->name == N_NAMES) {
                MUST(account_of(m) == a->account);
                return;
        }
        owner = a->known.owner[a->name];
        MUST(name_of(m) == a->name);
        MUST(owner < 0 || owner == (int)account_of(m) ||
                claim_end((unsigned)owner, a->name) <= now());
}

static void take_list(Caller *c, const Asked *a, Frame *f) {
        static ListPeersAnswer answer;
        bool seen[_ACCOUNT_MAX] = {};

        MUST(list_peers_answer_decode(f, &answer) == 0);
        MUST(answer.n_peers <= CLAMP(a->limit, 1U, (uint64_t)LIST_PEERS_MAX));
        for (size_t i = 0; i < answer.n_peers; i++) {
                const Made *m = take_record(c, answer.peers[i].record, &a->known);

                MUST(m->record.listed && m->record.expires > asked_at && !seen[account_of(m)]);
                seen[account_of(m)] = true;
                MUST(a->name == 0 || answer.peers[i].presence.size > 0);
                if (answer.peers[i].presence.size > 0)
                        check_presence(m, answer.peers[i].presence);
        }
        c->after_size = answer.after.size;
        copy_bytes(c->after, answer.after.data, answer.after.size);
}

static void on_kept(void *userdata, int error, Bytes blob) {
        const Made *m = userdata, *kept = find_made(blob);

        MUST(error == 0 && kept && !is_newer(m, kept));
}

/* On disk, not only in memory. */
static void check_kept(const Made *m) {
        uint8_t key[SHA256_SIZE];

        directory_key_account(DIRECTORY_USER, m->record.account, key);
        store->ops->rec_get(store, DIRECTORY_USER, key, on_kept, (void *)m);
}

/* COLLECTED and WITHDRAW */
static void take_end(const Asked *a) {
        if (a->letter == N_LETTERS || !a->mail.letters[a->letter].kept)
                return;
        MUST(letter_on_disk(store, a->letter) != ITEM_HELD ||
                now() >= mail.letters[a->letter].expires);
        mail.letters[a->letter].ended = true;
}

static void take_ok(Caller *c, const Asked *a, Frame *f) {
        if (mail_altered && a->type >= FRAME_DEPOSIT)
                return;
        switch (a->type) {
        case FRAME_DEPOSIT:
                check_deposit(store, a->letter, f);
                return;
        case FRAME_COLLECT:
                MUST(c->device != NOBODY);
                check_collect(DEVICES[c->device].account, &a->mail, f);
                return;
        case FRAME_MAIL_STATUS:
                check_status(a->letter, &a->mail, f);
                return;
        case FRAME_COLLECTED:
        case FRAME_WITHDRAW:
                take_end(a);
                break;
        case FRAME_LOOKUP:
                take_lookup(c, a, f);
                return;
        case FRAME_LIST_PEERS:
                take_list(c, a, f);
                return;
        case FRAME_REGISTER:
        case FRAME_PUBLISH:
                MUST(c->device != NOBODY);
                if (a->record) {
                        MUST(account_of(a->record) == DEVICES[c->device].account);
                        know_owner(a->record);
                        check_kept(a->record);
                }
                break;
        }
        MUST(frame_decode_empty(f) == 0);
}

static void take_error(const Asked *a, Frame *f) {
        const Made *m;
        Refusal x;
        int owner;

        MUST(refusal_decode(f, &x) == 0 && x.code < _CODE_MAX);
        MUST(x.code != CODE_STORAGE || fuzz_failed());
        MUST(x.code != CODE_NAME_TAKEN || a->type == FRAME_REGISTER || a->type == FRAME_PUBLISH);
        if (x.code != CODE_UNKNOWN_PEER || a->type == FRAME_DEPOSIT)
                return;
        MUST(a->type == FRAME_LOOKUP);
        if (a->name == N_NAMES) {
                m = a->known.newest[a->account];
                MUST(!m || may_be_gone(m));
                return;
        }
        owner = a->known.owner[a->name];
        m = owner < 0 ? NULL : a->known.newest[owner];
        MUST(!m || name_of(m) != a->name || may_be_gone(m));
}

static void take_answer(Caller *c, Frame *f) {
        Asked a;

        if (c->scripted)
                return;
        MUST(f->request > 0 && f->request <= c->n_asked && c->asked[f->request - 1].type != 0);
        a = c->asked[f->request - 1];
        c->asked[f->request - 1].type = 0;
        if (damaged)
                return;
        if (f->type == FRAME_OK)
                take_ok(c, &a, f);
        else
                take_error(&a, f);
}

static unsigned find_account(const uint8_t *key) {
        for (unsigned i = 0; i < _ACCOUNT_MAX; i++)
                if (key_equal(account_key(i), key))
                        return i;
        return _ACCOUNT_MAX;
}

static void take_presence_push(Caller *c, Frame *f) {
        PresencePush p;
        unsigned account;

        MUST(presence_push_decode(f, &p) == 0);
        account = find_account(p.account);
        MUST(account < _ACCOUNT_MAX && (c->scripted || c->watches[account]));
        MUST(p.last_seen <= now());
        if (p.online) {
                const Made *m = find_made(p.presence);

                MUST(m && account_of(m) == account);
        }
}

static void take_push(Caller *c, Frame *f) {
        const Made *m;
        Bytes record;
        uint64_t n;

        if (damaged)
                return;
        if (f->type == FRAME_MAIL_WAITING) {
                MUST(mail_waiting_decode(f, &n) == 0 && n > 0 && n <= MAILBOX_ITEMS);
                MUST(c->device != NOBODY);
                return;
        }
        if (f->type == FRAME_PRESENCE) {
                take_presence_push(c, f);
                return;
        }
        MUST(record_frame_decode(f, &record) == 0);
        if (f->type == FRAME_RECORD) {
                m = take_record(c, record, NULL);
                MUST(c->scripted || c->watches[account_of(m)]);
                return;
        }
        m = find_made(record); /* SESSION_REPLACED: it may not be stored yet */
        MUST(m && c->device != NOBODY && m->device != c->device);
        MUST(account_of(m) == DEVICES[c->device].account);
}

static void take_bye(Caller *c, Frame *f) {
        Refusal x;

        MUST(refusal_decode(f, &x) == 0 && x.code < _CODE_MAX);
        MUST(x.record.size == 0 || find_made(x.record) || damaged);
        MUST(x.code != CODE_STORAGE || fuzz_failed() || damaged);
        c->heard_bye = true;
}

static void take_frame(Caller *c, Frame *f) {
        MUST(!c->heard_bye);
        MUST(c->open || f->type == FRAME_HELLO || f->type == FRAME_HELLO_OK ||
                f->type == FRAME_BYE);
        switch (f->type) {
        case FRAME_HELLO:
                MUST(c->said_hello || c->scripted);
                break;
        case FRAME_HELLO_OK:
                MUST(!c->open && (c->scripted || !c->wrong));
                c->open = true;
                break;
        case FRAME_OK:
        case FRAME_ERROR:
                take_answer(c, f);
                break;
        case FRAME_PRESENCE:
        case FRAME_RECORD:
        case FRAME_MAIL_WAITING:
        case FRAME_SESSION_REPLACED:
                take_push(c, f);
                break;
        case FRAME_BYE:
                take_bye(c, f);
                break;
        case FRAME_PING:
                MUST(frame_put_empty(&c->end.out, FRAME_PONG, f->request) == 0);
                break;
        default:
                MUST(f->type == FRAME_PONG);
        }
}

/* After each turn it is looked what has been said: that must be on disk already. */
static void pass_time(usec_t time) {
        usec_t until = usec_add(loop_now(loop), time);
        Frame f;

        for (unsigned i = 0; i < CALLERS; i++)
                callers[i].scripted |= !raw_flush(&callers[i].end);
        for (asked_at = now(); their_turn(loop, until); asked_at = now())
                for (unsigned i = 0; i < CALLERS; i++)
                        while (!callers[i].deaf && raw_take(&callers[i].end, &f))
                                take_frame(&callers[i], &f);
}

/* The node */

static void on_registered(void *userdata, const Record *record) {
        registered++;
}

static void on_refused(
        void *userdata, const Record *record, const SockAddr *peer, Code code, const char *text) {
        MUST(code == CODE_NAME_TAKEN || code == CODE_RATE_LIMITED);
}

static void on_store(void *userdata, NodeStoreUse use, int error) {
        MUST(error == 0 || fuzz_failed() || (damaged && error == -EUCLEAN));
}

static const NodeCallbacks node_callbacks = {
        .registered = on_registered,
        .refused = on_refused,
        .store = on_store,
};

static void node_start(void) {
        MUST(dstore_lmdb_open(loop, dir.path, &store) == 0);
        MUST(node_new(net, store, &node_key, &limits, &node) == 0);
        node_set_callbacks(node, &node_callbacks, NULL);
}

static void caller_close(Caller *c) {
        if (c->end.transport)
                gone_at[c->device] = now();
        raw_close(&c->end);
        c->open = false;
}

static void node_stop(void) {
        for (unsigned i = 0; i < CALLERS; i++)
                caller_close(&callers[i]);
        FUZZ_THEIR_MEMORY;
        node = node_free(node);
        store = dstore_close(store);
}

/* What is on disk after all is what was acknowledged, each row under its own key. */

typedef struct Scan {
        DirectoryKind kind;
        const Made *newest[_ACCOUNT_MAX];
        int owner[N_NAMES];
} Scan;

static bool on_row(void *userdata, const uint8_t key[static SHA256_SIZE], Bytes blob) {
        const Made *m = find_made(blob);
        uint8_t own[SHA256_SIZE];
        Scan *s = userdata;

        MUST(m && m->record.name[0]);
        if (s->kind == DIRECTORY_NAME) {
                directory_key_name(m->record.name, own);
                s->owner[name_of(m)] = (int)account_of(m);
        } else {
                directory_key_account(DIRECTORY_USER, m->record.account, own);
                s->newest[account_of(m)] = m;
        }
        MUST(memcmp(own, key, SHA256_SIZE) == 0);
        return true;
}

static void check_store(void) {
        Scan s = {.kind = DIRECTORY_USER, .owner = {-1, -1, -1, -1}};

        if (damaged)
                return;
        check_mailboxes(store);
        MUST(store->ops->range_scan(store, s.kind, NULL, on_row, &s) == 0);
        s.kind = DIRECTORY_NAME;
        MUST(store->ops->range_scan(store, s.kind, NULL, on_row, &s) == 0);
        for (unsigned i = 0; i < _ACCOUNT_MAX; i++)
                MUST(!known.newest[i] || (s.newest[i] && !is_newer(known.newest[i], s.newest[i])));
        for (unsigned i = 0; i < N_NAMES; i++)
                MUST(known.owner[i] < 0 || known.owner[i] == s.owner[i] ||
                        (s.owner[i] >= 0 && claim_end((unsigned)known.owner[i], i) <= now()));
}

/* A row that the store cannot have written, where one would be. From then on the node may say what
 * it likes, or that it cannot read its directory, but in frames that hold. */
static void damage_row(Script *in) {
        static const char *const tables[] = {"name", "user", "seen", NULL};
        uint8_t which = script_u8(in), key[SHA256_SIZE];
        _cleanup_(buffer_done) Buffer row = BUFFER_NULL;
        DbKey k = DB_KEY_NULL;
        Db *db;

        if (which % 3 == 0)
                directory_key_name(NAMES[which / 3 % N_NAMES], key);
        else
                directory_key_account(which % 3 == 1 ? DIRECTORY_USER : DIRECTORY_SEEN,
                        account_key(which / 3 % _ACCOUNT_MAX), key);
        db_key_bytes(&k, key, which & 0x80 ? sizeof(key) - 1 : sizeof(key));
        if (which & 0x40 && n_made > 0) {
                static const uint8_t head[] = {1, 0, 0};
                const Made *m = &made[script_u8(in) % n_made];

                MUST(buffer_append(&row, head, sizeof(head)) == 0);
                MUST(buffer_append(&row, buffer_data(&m->bytes), buffer_size(&m->bytes)) == 0);
                script_alter(in, &row, row.begin);
        } else {
                Bytes b = script_bytes(in);

                MUST(buffer_append(&row, b.data, b.size) == 0);
        }
        MUST(db_open(dir.path, &(DbOptions){.tables = tables, .map_size = 1 << 22, .loop = loop},
                     &db) == 0);
        MUST(db_put(db_write(db), which % 3, &k, buffer_data(&row), buffer_size(&row)) == 0);
        db_close(db);
        damaged = true;
}

/* The same for a row of a mailbox: a byte of it is another one, or it is shorter or gone. */
static void damage_mail(Script *in) {
        static const char *const tables[] = {"entry", "item", "note", "due", "usage", NULL};
        uint8_t which = script_u8(in), how = script_u8(in), row[MAIL_ENVELOPE_MAX];
        unsigned table = which % 5, skip = which / 5 % 8;
        DbValue key, value;
        DbKey k = DB_KEY_NULL;
        DbCursor c;
        DbTxn *txn;
        Db *db;

        MUST(db_open(dir.path, &(DbOptions){.tables = tables, .map_size = 1 << 22, .loop = loop},
                     &db) == 0);
        txn = db_write(db);
        MUST(db_cursor_open(txn, table, &DB_KEY_NULL, NULL, false, &c) == 0);
        while (db_cursor_next(&c, &key, &value) > 0 && skip-- > 0)
                ;
        if (skip == UINT_MAX && value.size <= sizeof(row)) {
                copy_bytes(row, value.data, value.size);
                db_key_bytes(&k, key.data, key.size);
                db_cursor_close(&c);
                if (how < 0x80 && value.size > 0) {
                        row[how % value.size] ^= script_u8(in) | 1;
                        MUST(db_put(txn, table, &k, row, value.size) == 0);
                } else if (how < 0xc0)
                        MUST(db_put(txn, table, &k, row, how % (value.size + 1)) == 0);
                else
                        MUST(db_del(txn, table, &k) == 1);
                damaged = true;
        } else
                db_cursor_close(&c);
        db_close(db);
}

/* All that was not committed is lost, and what was is not. */
static void node_restart(Script *in, uint8_t how) {
        if (how & 0x10)
                store_image_take(&dir, &killed);
        node_stop();
        if (how & 0x10)
                store_image_put(&dir, &killed);
        if (how & 0x20)
                damage_row(in);
        if (how & 0x40)
                damage_mail(in);
        node_start();
        check_store();
}

/* What the callers say */

static void caller_connect(Script *in, Caller *c) {
        uint8_t how = script_u8(in);
        PipeOptions options = {.chunk = how >> 5};
        unsigned device = how % (N_DEVICES + 1);
        Transport *t;

        if (c->end.transport)
                return;
        *c = (Caller){.device = device};
        memcpy(c->heard, known.newest, sizeof(c->heard));
        t = raw_connect(&c->end, loop, &options);
        MUST(sockaddr_parse_ip(how & 0x10 ? "192.0.2.1" : "198.51.100.1", 7000, &t->peer) == 0);
        raw_say_tls(&c->end, NODE_ALPN, sign_key_public(&devices[device]));
        FUZZ_THEIR_MEMORY;
        node_accept(node, t);
}

static void say_hello(Script *in, Caller *c) {
        uint8_t how = script_u8(in);
        Hello h = {.versions = {how & 1 ? script_number(in) : PROTOCOL_VERSION},
                .n_versions = 1,
                .expects = how & 2,
                .heartbeat = how & 4 ? (uint32_t)script_number(in) : HEARTBEAT_MAX};

        memcpy(h.expected, sign_key_public(&devices[0]), KEY_SIZE);
        if (how & 8)
                memcpy(h.expected, sign_key_public(&node_key), KEY_SIZE);
        c->wrong = h.versions[0] != PROTOCOL_VERSION || (h.expects && !(how & 8));
        if (c->device != NOBODY || how & 16) {
                const Made *m = script_record(in, c->device);
                unsigned certificate = how & 32 ? script_device(in, NOBODY) : m->device;

                h.record = sample_bytes(&m->bytes);
                h.certificate = sample_bytes(&certificates[certificate]);
                c->wrong |= m->device != c->device || certificate != m->device;
                c->wrong |= now() >= VIRTUAL_REALTIME + IDENTITY_LIFETIME;
        }
        c->scripted |= c->said_hello;
        c->said_hello = true;
        MUST(hello_encode(&c->end.out, &h) == 0);
}

static Asked *ask(Caller *c, uint64_t type) {
        Asked *a = &c->asked[c->n_asked++];

        *a = (Asked){
                .type = type, .name = N_NAMES, .letter = N_LETTERS, .known = known, .mail = mail};
        return a;
}

static void say_register(Script *in, Caller *c) {
        Asked *a = ask(c, FRAME_REGISTER);

        a->record = script_record(in, c->device);
        MUST(record_frame_encode(&c->end.out, FRAME_REGISTER, c->n_asked,
                     sample_bytes(&a->record->bytes)) == 0);
}

static void say_publish(Script *in, Caller *c) {
        Asked *a = ask(c, FRAME_PUBLISH);
        uint8_t how = script_u8(in);
        Publish p = {};

        if (how & 1)
                a->record = script_record(in, c->device);
        if (a->record)
                p.record = sample_bytes(&a->record->bytes);
        if (how & 2)
                p.presence = sample_bytes(&script_presence(in, c->device)->bytes);
        MUST(publish_encode(&c->end.out, c->n_asked, &p) == 0);
}

static void say_lookup(Script *in, Caller *c) {
        Asked *a = ask(c, FRAME_LOOKUP);
        uint8_t how = script_u8(in);
        Lookup l = {};

        a->account = how % _ACCOUNT_MAX;
        if (how & 0x80)
                a->name = how % N_NAMES;
        if (how & 0x80)
                snprintf(l.name, sizeof(l.name), "%s", NAMES[a->name]);
        else
                memcpy(l.account, account_key(a->account), KEY_SIZE);
        MUST(lookup_encode(&c->end.out, c->n_asked, &l) == 0);
}

static void say_list(Script *in, Caller *c) {
        Asked *a = ask(c, FRAME_LIST_PEERS);
        uint8_t how = script_u8(in);
        ListPeers l = {.online = how & 1, .limit = script_number(in)};

        if (how & 2)
                l.after = (Bytes){.data = c->after, .size = c->after_size};
        if (how & 4)
                l.after = script_bytes(in);
        l.after.size = MIN(l.after.size, (size_t)LIST_AFTER_MAX);
        a->limit = l.limit;
        a->name = l.online;
        MUST(list_peers_encode(&c->end.out, c->n_asked, &l) == 0);
}

/* Each bit of HOW is somebody to be watched or not any more; and many strangers. */
static void say_watch(Script *in, Caller *c) {
        static uint8_t add[WATCH_ACCOUNTS_MAX][KEY_SIZE], remove[_ACCOUNT_MAX][KEY_SIZE];
        uint8_t how = script_u8(in);
        size_t n_add = 0, n_remove = 0;
        Watch w = {};

        ask(c, FRAME_WATCH);
        for (unsigned i = 0; i < _ACCOUNT_MAX; i++) {
                if (how & 1 << i) {
                        memcpy(add[n_add++], account_key(i), KEY_SIZE);
                        c->watches[i] = true;
                }
                if (how & 8 << i)
                        memcpy(remove[n_remove++], account_key(i), KEY_SIZE);
        }
        for (unsigned i = how & 0x40 && n_costly++ < COSTLY_MAX ? 900U : 0; i > 0; i--) {
                memset(add[n_add], (int)(how >> 7), KEY_SIZE);
                add[n_add][0] = (uint8_t)i;
                add[n_add++][1] = (uint8_t)(i >> 8);
        }
        w.add = (Bytes){.data = add[0], .size = n_add * KEY_SIZE};
        w.remove = (Bytes){.data = remove[0], .size = n_remove * KEY_SIZE};
        MUST(watch_encode(&c->end.out, c->n_asked, &w) == 0);
}

static void say_mail(Script *in, Caller *c) {
        static const FrameType types[] = {FRAME_DEPOSIT, FRAME_DEPOSIT, FRAME_COLLECT,
                FRAME_COLLECTED, FRAME_MAIL_STATUS, FRAME_WITHDRAW};
        FrameType type = types[script_u8(in) % ELEMENTSOF(types)];
        Buffer *out = &c->end.out;
        Asked *a = ask(c, type);

        c->said_mail = true;
        if (type == FRAME_DEPOSIT)
                a->letter = write_deposit(in, out, c->n_asked);
        else if (type == FRAME_COLLECT)
                write_collect(in, out, c->n_asked);
        else if (type == FRAME_COLLECTED)
                a->letter = write_collected(in, c->device, out, c->n_asked);
        else if (type == FRAME_MAIL_STATUS)
                a->letter = write_status(in, out, c->n_asked);
        else
                a->letter = write_withdraw(in, out, c->n_asked);
}

static void say_frame(Script *in, Caller *c) {
        uint8_t type = script_u8(in);
        Bytes body;

        if (type >= FRAME_PING && type <= FRAME_PONG) {
                MUST(frame_put_empty(&c->end.out, type, script_u8(in)) == 0);
                return;
        }
        c->scripted = true;
        if (type < 0x80) {
                (void)frame_put_empty(&c->end.out, type, script_u8(in));
                return;
        }
        body = script_bytes(in);
        MUST(buffer_append(&c->end.out, body.data, body.size) == 0);
}

static void speak(Script *in, Caller *c, unsigned op) {
        static void (*const requests[])(Script * in, Caller * c) = {
                say_hello, say_register, say_publish, say_lookup, say_list, say_watch};

        if (!c->end.transport || n_made > MADE_MAX - 2 || c->n_asked == REQUESTS_MAX)
                return;
        if (op <= ELEMENTSOF(requests))
                requests[op - 1](in, c);
        else if (op == 12)
                say_mail(in, c);
        else if (op == 7)
                say_frame(in, c);
        else {
                mail_altered |= c->said_mail;
                c->scripted = true;
                script_alter(in, &c->end.out, c->end.out.begin);
        }
}

static void step(Script *in) {
        uint8_t op = script_u8(in);
        Caller *c = &callers[op >> 4 & (CALLERS - 1)];

        switch (op & 0x0f) {
        case 0:
                caller_connect(in, c);
                break;
        case 1 ... 8:
        case 12:
                speak(in, c, op & 0x0f);
                break;
        case 9:
                caller_close(c);
                break;
        case 10:
                if (n_costly++ < COSTLY_MAX)
                        node_restart(in, op);
                break;
        case 11:
                c->deaf = op & 0x40;
                c->scripted |= c->deaf;
                break;
        default:
                pass_time(script_time(in));
        }
}

/* Whoever could be answered was, and when all have gone nothing is kept of them. */
static void check_end(void) {
        pass_time(GONE_TIME);
        for (unsigned i = 0; i < CALLERS; i++) {
                Caller *c = &callers[i];

                if (!c->open || c->scripted || c->heard_bye || c->end.over || fuzz_failed())
                        continue;
                for (size_t k = 0; k < c->n_asked; k++)
                        MUST(c->asked[k].type == 0);
        }
        for (unsigned i = 0; i < CALLERS; i++)
                caller_close(&callers[i]);
        pass_time(GONE_TIME + SEEN_DELAY);
        MUST(!node->clients && !node->watchers && !node->people && !node->pushing && !node->held);
        MUST(!node->mailing);
        MUST(node->stats.sessions == 0 && node->stats.online == 0 && node->n_watchers == 0);
        MUST(node->stats.registrations <= registered);
}

static void run_begin(Script *in) {
        uint8_t how;

        if (!dir.path[0]) {
                log_set_level(LOG_ERR);
                store_dir_make(&dir, ".");
                make_people();
                make_letters();
                MUST(loop_virtual_new(1, &loop) == 0 && net_new(loop, &net) == 0);
                node_start();
                node_stop();
                net = net_free(net);
                loop = loop_virtual_free(loop);
                store_image_take(&dir, &empty);
        }
        store_image_put(&dir, &empty);
        damaged = mail_altered = false;
        n_made = registered = n_costly = 0;
        known = (Known){.owner = {-1, -1, -1, -1}};
        memset(gone_at, 0, sizeof(gone_at));
        mail_forget();
        how = script_u8(in);
        limits = (NodeLimits){.heartbeat = 30,
                .handshake = 10,
                .registrations_per_hour = how & 3,
                .mailbox = !(how & 4),
                .mailbox_days = 30,
                .mailbox_items = how & 8 ? 5 : MAILBOX_ITEMS,
                .mailbox_bytes = MAILBOX_BYTES,
                .stamp_bits = how & 16 ? 16 : 0};
        MUST(loop_virtual_new(1, &loop) == 0 && net_new(loop, &net) == 0);
        node_start();
}

static void run_end(void) {
        check_end();
        check_store();
        node_stop();
        net = net_free(net);
        loop = loop_virtual_free(loop);
}

void fuzz_one(const uint8_t *data, size_t size) {
        script_run(data, size, run_begin, step, run_end);
}
