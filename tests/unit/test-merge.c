/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "ring/merge.h"
#include "wire/identity.h"

#define NOW (UINT64_C(1800000000) * USEC_PER_SEC)
#define NOW_MS (NOW / USEC_PER_MSEC)

typedef struct Device {
        SignKey account, device;
        uint64_t epoch;
} Device;

static Device device_new(uint64_t epoch) {
        Device d = {.epoch = epoch};

        CHECK_OK(crypto_init());
        sign_key_generate(&d.account);
        sign_key_generate(&d.device);
        return d;
}

static Device device_next(const Device *d, uint64_t epoch) {
        Device next = {.account = d->account, .epoch = epoch};

        sign_key_generate(&next.device);
        return next;
}

/* The caller's to keep; a handful, so they are never freed before the end. */
static Bytes record_make(const Device *d, const char *name, uint64_t seq, uint64_t expires) {
        Buffer certificate = BUFFER_NULL, out = BUFFER_NULL;
        Certificate c = {.epoch = d->epoch, .issued = NOW - 1000, .expires = NOW + USEC_PER_DAY};
        Record rec = {
                .epoch = d->epoch, .seq = seq, .issued = 1, .expires = expires, .listed = true};

        memcpy(c.account, sign_key_public(&d->account), KEY_SIZE);
        memcpy(c.device, sign_key_public(&d->device), KEY_SIZE);
        CHECK_OK(certificate_encode(&c, &d->account, &d->device, &certificate));
        memcpy(rec.account, c.account, KEY_SIZE);
        snprintf(rec.name, sizeof(rec.name), "%s", name);
        rec.certificate = (Bytes){buffer_data(&certificate), buffer_size(&certificate)};
        CHECK_OK(record_encode(&rec, &d->account, &out));
        buffer_done(&certificate);
        return (Bytes){buffer_data(&out), buffer_size(&out)};
}

static Bytes presence_make_as(const Device *d, uint64_t seq, Presence presence) {
        PresenceRecord p = {.epoch = d->epoch, .presence = presence, .seq = seq};
        Buffer out = BUFFER_NULL;

        memcpy(p.account, sign_key_public(&d->account), KEY_SIZE);
        memcpy(p.device, sign_key_public(&d->device), KEY_SIZE);
        CHECK_OK(presence_encode(&p, &d->device, &out));
        return (Bytes){buffer_data(&out), buffer_size(&out)};
}

static Bytes presence_make(const Device *d, uint64_t seq) {
        return presence_make_as(d, seq, PRESENCE_ONLINE);
}

static void drop(Bytes b) {
        free((void *)b.data);
}

static MergeResult merged_at(MergeFn fn, Bytes old, Bytes new, uint64_t now) {
        MergeResult result;

        CHECK_OK(fn(old, new, now, &result));
        return result;
}

static MergeResult merged(MergeFn fn, Bytes old, Bytes new) {
        return merged_at(fn, old, new, NOW);
}

TEST(a_name_goes_to_whoever_comes_first) {
        Device alice = device_new(1), mallory = device_new(1);
        Bytes first = record_make(&alice, "alice", NOW_MS, NOW + 1000);
        Bytes newer = record_make(&alice, "alice", NOW_MS + 1, NOW + 2000);
        Bytes other = record_make(&mallory, "alice", NOW_MS + 5, NOW + 9000);

        CHECK_EQ(merged(merge_name, (Bytes){}, first), MERGE_STORED);
        CHECK_EQ(merged(merge_name, first, other), MERGE_STALE);
        CHECK_EQ(merged(merge_name, first, first), MERGE_SAME);
        CHECK_EQ(merged(merge_name, first, newer), MERGE_STORED);
        CHECK_EQ(merged(merge_name, newer, first), MERGE_SAME); /* still hers */
        drop(first);
        drop(newer);
        drop(other);
}

TEST(a_claim_that_has_run_out_gives_way) {
        Device alice = device_new(1), bob = device_new(1);
        Bytes first = record_make(&alice, "name", NOW_MS, NOW + 1000);
        Bytes other = record_make(&bob, "name", NOW_MS, NOW + USEC_PER_DAY);

        CHECK_EQ(merged_at(merge_name, first, other, NOW + 999), MERGE_STALE);
        CHECK_EQ(merged_at(merge_name, first, other, NOW + 1000), MERGE_STORED);
        drop(first);
        drop(other);
}

/* Replicas meet two records in either order and must end up with the same. */
static void check_order(Bytes low, Bytes high) {
        CHECK_EQ(merged(merge_user, low, high), MERGE_STORED);
        CHECK_EQ(merged(merge_user, high, low), MERGE_STALE);
        CHECK_EQ(merged(merge_user, high, high), MERGE_SAME);
}

TEST(records_have_one_order) {
        Device old = device_new(1), twin = device_next(&old, 1), next = device_next(&old, 2);
        Bytes a = record_make(&old, "a", NOW_MS, NOW + 5000);
        Bytes b = record_make(&old, "a", NOW_MS + 1, NOW + 1); /* expiry does not count */
        Bytes c = record_make(&next, "a", 1, NOW + 1); /* an epoch beats any seq */
        Bytes t = record_make(&twin, "a", NOW_MS - 1, NOW + 1);
        uint8_t ha[SHA256_SIZE], ht[SHA256_SIZE];

        check_order(a, b);
        check_order(b, c);
        check_order(a, c);
        sha256(sign_key_public(&old.device), KEY_SIZE, ha);
        sha256(sign_key_public(&twin.device), KEY_SIZE, ht);
        if (memcmp(ha, ht, SHA256_SIZE) < 0)
                check_order(t, a);
        else
                check_order(b, t);
        drop(a);
        drop(b);
        drop(c);
        drop(t);
}

TEST(records_of_two_accounts_do_not_join) {
        Device alice = device_new(1), bob = device_new(1);
        Bytes a = record_make(&alice, "a", NOW_MS, NOW + 1),
              b = record_make(&bob, "a", NOW_MS, NOW + 1);
        MergeResult result;

        CHECK_EQ(merge_user(a, b, NOW, &result), -EUCLEAN);
        drop(a);
        drop(b);
}

TEST(a_seq_from_the_future_is_refused) {
        Device alice = device_new(1);
        Bytes edge = record_make(&alice, "a", NOW_MS + USEC_PER_DAY / 1000, NOW + 1);
        Bytes over = record_make(&alice, "a", NOW_MS + USEC_PER_DAY / 1000 + 1, NOW + 1);
        MergeResult result;

        CHECK_EQ(merged(merge_user, (Bytes){}, edge), MERGE_STORED);
        CHECK_EQ(merge_user((Bytes){}, over, NOW, &result), -EBADMSG);
        CHECK_EQ(merge_name((Bytes){}, over, NOW, &result), -EBADMSG);
        drop(edge);
        drop(over);
}

TEST(rubbish_is_told_from_a_damaged_row) {
        Device alice = device_new(1);
        Bytes a = record_make(&alice, "a", NOW_MS, NOW + 1), p = presence_make(&alice, 1);
        Bytes rubbish = {.data = (const uint8_t *)"rubbish", .size = 7};
        MergeResult result;

        CHECK_EQ(merge_user(a, rubbish, NOW, &result), -EBADMSG);
        CHECK_EQ(merge_user(rubbish, a, NOW, &result), -EUCLEAN);
        CHECK_EQ(merge_name(a, p, NOW, &result), -EBADMSG);
        CHECK_EQ(merge_presence(p, a, NOW, &result), -EBADMSG);
        CHECK_EQ(merge_presence(rubbish, p, NOW, &result), -EUCLEAN);
        CHECK_EQ(merge_seen((Bytes){}, rubbish, NOW, &result), -EBADMSG);
        for (size_t n = 0; n < a.size; n++)
                CHECK_EQ(merge_user((Bytes){}, (Bytes){a.data, n}, NOW, &result), -EBADMSG);
        drop(a);
        drop(p);
}

/* BACKUP NULL: without a password. */
static Bytes statement_make(const Device *d, uint64_t seq, const char *backup) {
        AccountStatement s = {.seq = seq, .issued = NOW};
        Buffer out = BUFFER_NULL;

        memcpy(s.account, sign_key_public(&d->account), KEY_SIZE);
        if (backup) {
                s.has_password = true;
                s.key_id = s.memory = s.passes = 1;
                memcpy(s.login, s.account, KEY_SIZE);
                s.backup = text_bytes(backup);
        }
        CHECK_OK(account_statement_encode(&s, &d->account, &out));
        return (Bytes){buffer_data(&out), buffer_size(&out)};
}

TEST(statements_have_one_order) {
        Device alice = device_new(1), bob = device_new(1);
        Bytes a = statement_make(&alice, NOW_MS, "a"), b = statement_make(&alice, NOW_MS + 1, "b"),
              none = statement_make(&alice, NOW_MS + 2, NULL),
              twin = statement_make(&alice, NOW_MS, "twin"),
              bobs = statement_make(&bob, NOW_MS + 1, "b"),
              edge = statement_make(&alice, NOW_MS + USEC_PER_DAY / 1000, "a"),
              over = statement_make(&alice, NOW_MS + USEC_PER_DAY / 1000 + 1, "a");
        const Bytes rubbish = text_bytes("rubbish");
        MergeResult result;

        CHECK_EQ(merged(merge_acct, (Bytes){}, a), MERGE_STORED);
        CHECK_EQ(merged(merge_acct, a, a), MERGE_SAME);
        CHECK_EQ(merged(merge_acct, a, b), MERGE_STORED);
        CHECK_EQ(merged(merge_acct, b, a), MERGE_STALE);
        CHECK_EQ(merged(merge_acct, b, none), MERGE_STORED);
        CHECK_EQ(merged(merge_acct, none, b), MERGE_STALE);
        CHECK_EQ(merged(merge_acct, none, edge), MERGE_STORED);
        CHECK(merged(merge_acct, a, twin) != merged(merge_acct, twin, a)); /* one wins */
        CHECK_EQ(merge_acct(a, bobs, NOW, &result), -EUCLEAN);
        CHECK_EQ(merge_acct(a, over, NOW, &result), -EBADMSG);
        CHECK_EQ(merge_acct(a, rubbish, NOW, &result), -EBADMSG);
        CHECK_EQ(merge_acct(rubbish, a, NOW, &result), -EUCLEAN);
        drop(a);
        drop(b);
        drop(none);
        drop(twin);
        drop(bobs);
        drop(edge);
        drop(over);
}

TEST(presence_goes_by_epoch_then_seq) {
        Device old = device_new(1), next = device_next(&old, 2);
        Bytes a = presence_make(&old, 7), b = presence_make(&old, 8), c = presence_make(&next, 1);

        CHECK_EQ(merged(merge_presence, (Bytes){}, a), MERGE_STORED);
        CHECK_EQ(merged(merge_presence, a, b), MERGE_STORED);
        CHECK_EQ(merged(merge_presence, b, a), MERGE_STALE);
        CHECK_EQ(merged(merge_presence, a, a), MERGE_SAME);
        CHECK_EQ(merged(merge_presence, b, c), MERGE_STORED);
        drop(a);
        drop(b);
        drop(c);
}

/* Or two trackers that hear of them in different order would differ for ever. */
TEST(of_two_presences_with_one_seq_one_wins) {
        Device d = device_new(1);
        Bytes a = presence_make_as(&d, 7, PRESENCE_AWAY);
        Bytes b = presence_make_as(&d, 7, PRESENCE_BUSY);
        MergeResult there = merged(merge_presence, a, b), back = merged(merge_presence, b, a);

        CHECK(there != MERGE_SAME && back != MERGE_SAME && there != back);
        drop(a);
        drop(b);
}

TEST(the_later_sight_wins) {
        static const uint8_t early[8] = {0, 0, 0, 0, 0, 0, 0, 255},
                             late[8] = {0, 0, 0, 0, 0, 0, 1, 0};
        Bytes a = {early, 8}, b = {late, 8};

        CHECK_EQ(merged(merge_seen, a, b), MERGE_STORED);
        CHECK_EQ(merged(merge_seen, b, a), MERGE_STALE);
        CHECK_EQ(merged(merge_seen, a, a), MERGE_SAME);
}

TEST(keys_of_one_subject_differ_by_kind) {
        static const uint8_t account[KEY_SIZE] = {1};
        uint8_t user[SHA256_SIZE], seen[SHA256_SIZE], name[SHA256_SIZE], expected[SHA256_SIZE];

        directory_key_account(DIRECTORY_USER, account, user);
        directory_key_account(DIRECTORY_SEEN, account, seen);
        CHECK(memcmp(user, seen, SHA256_SIZE) != 0);
        directory_key_name("alice", name);
        sha256("nalice", 6, expected);
        CHECK(memcmp(name, expected, SHA256_SIZE) == 0);
}

TEST(a_peek_reads_what_was_signed) {
        Device alice = device_new(3);
        Bytes a = record_make(&alice, "alice", 77, NOW + 5), p = presence_make(&alice, 9);
        PresenceRecord full_presence, presence;
        Record full, peeked;

        CHECK_OK(record_decode(a, &full));
        CHECK_OK(record_parse(a, &peeked));
        CHECK(key_equal(peeked.account, full.account));
        CHECK(key_equal(peeked.device.device, full.device.device));
        CHECK_STR(peeked.name, "alice");
        CHECK_EQ(peeked.epoch, 3);
        CHECK_EQ(peeked.seq, 77);
        CHECK_EQ(peeked.expires, NOW + 5);
        CHECK_EQ(peeked.device.expires, full.device.expires);
        CHECK(peeked.listed);
        CHECK_OK(presence_decode(p, &full_presence));
        CHECK_OK(presence_parse(p, &presence));
        CHECK_EQ(presence.seq, 9);
        CHECK_EQ(presence.presence, PRESENCE_ONLINE);
        CHECK(key_equal(presence.device, full_presence.device));
        drop(a);
        drop(p);
}

static Bytes deletion_make(const Device *d, uint64_t seq) {
        AccountStatement s = {.seq = seq, .issued = NOW, .deleted = true};
        Buffer out = BUFFER_NULL;

        memcpy(s.account, sign_key_public(&d->account), KEY_SIZE);
        CHECK_OK(account_statement_encode(&s, &d->account, &out));
        return (Bytes){buffer_data(&out), buffer_size(&out)};
}

TEST(what_is_deleted_is_removed_and_stays_away) {
        Device alice = device_new(1), bob = device_new(1);
        Bytes a = statement_make(&alice, NOW_MS, "a"), gone = deletion_make(&alice, NOW_MS + 1);
        Bytes twin = statement_make(&alice, NOW_MS + 1, "a");
        Bytes hers = record_make(&alice, "a", NOW_MS, NOW + 1);
        Bytes his = record_make(&bob, "a", NOW_MS, NOW + 1);
        const Bytes rubbish = text_bytes("rubbish");
        MergeResult result;

        CHECK_EQ(merged(merge_acct, a, gone), MERGE_STORED);
        CHECK_EQ(merged(merge_acct, gone, a), MERGE_STALE);
        CHECK_EQ(merged(merge_acct, gone, twin), MERGE_STALE);
        CHECK_EQ(merged(merge_acct, twin, gone), MERGE_STORED);
        CHECK_EQ(merged(merge_record_removed, hers, gone), MERGE_REMOVED);
        CHECK_EQ(merged(merge_record_removed, his, gone), MERGE_SAME);
        CHECK_EQ(merged(merge_record_removed, (Bytes){}, gone), MERGE_SAME);
        CHECK_EQ(merge_record_removed(hers, a, NOW, &result), -EBADMSG);
        CHECK_EQ(merge_record_removed(rubbish, gone, NOW, &result), -EUCLEAN);
        CHECK_EQ(merged(merge_removed, rubbish, gone), MERGE_REMOVED);
        CHECK_EQ(merged(merge_removed, (Bytes){}, gone), MERGE_SAME);

        CHECK_EQ(merged(merge_unless_deleted, (Bytes){}, hers), MERGE_SAME);
        CHECK_EQ(merged(merge_unless_deleted, a, hers), MERGE_SAME);
        CHECK_EQ(merged(merge_unless_deleted, gone, hers), MERGE_STALE);
        CHECK_OK(merge_unless_deleted(gone, hers, NOW + ACCOUNT_DELETED_TIME - 1, &result));
        CHECK_EQ(result, MERGE_STALE);
        CHECK_OK(merge_unless_deleted(gone, hers, NOW + ACCOUNT_DELETED_TIME, &result));
        CHECK_EQ(result, MERGE_SAME);
        CHECK_EQ(merged(merge_unless_deleted, rubbish, hers), MERGE_SAME);
        drop(a);
        drop(gone);
        drop(twin);
        drop(hers);
        drop(his);
}
