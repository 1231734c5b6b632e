/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "roster-lab.h"

enum { OWNER, ADMIN, OTHER_ADMIN, MEMBER, FRIEND, STRANGER, GUEST };

static RosterLab lab;

static const uint8_t *key_of(int n) {
        static uint8_t keys[MODEL_PEOPLE][KEY_SIZE];

        model_key(n, keys[n]);
        return keys[n];
}

/* Owner, two admins, two members. */
static void begin(RoomAccess access, RoomHistory history) {
        lab_begin(&lab, OWNER);
        block_found(&lab, OWNER, access, history);
        for (int i = ADMIN; i <= FRIEND; i++)
                block_add(&lab.block, change(ROOM_CHANGE_ADD, i));
        block_add(&lab.block, change_role(ADMIN, ROOM_ROLE_ADMIN));
        block_add(&lab.block, change_role(OTHER_ADMIN, ROOM_ROLE_ADMIN));
        CHECK_OK(block_take(&lab));
        CHECK_EQ(roster_count(lab.roster), 5);
}

static bool reason_has(const char *what) {
        return strstr(roster_reason(lab.roster), what);
}

static bool is_member(int n) {
        return roster_is_member(lab.roster, key_of(n));
}

/* Blocks and their place */

TEST(the_founder_makes_the_room) {
        lab_begin(&lab, OWNER);
        CHECK_EQ(roster_head(lab.roster)->epoch, 0);
        CHECK(!lab_may(&lab, OWNER, change(ROOM_CHANGE_ADD, MEMBER)));
        block_found(&lab, OWNER, ROOM_ACCESS_PRIVATE, ROOM_HISTORY_JOINED);
        CHECK_OK(block_take(&lab));
        CHECK_STR(roster_name(lab.roster), "garden");
        CHECK_EQ(roster_access(lab.roster), ROOM_ACCESS_PRIVATE);
        CHECK_EQ(roster_history(lab.roster), ROOM_HISTORY_JOINED);
        CHECK_EQ(lab_rank(lab.roster, OWNER), ROOM_ROLE_OWNER);
        CHECK_EQ(roster_count(lab.roster), 1);
        CHECK_EQ(roster_key_epoch(lab.roster, 1), 1);
        lab_end(&lab);
}

TEST(nobody_else_founds_it) {
        lab_begin(&lab, OWNER);
        block_found(&lab, STRANGER, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        CHECK_EQ(block_take(&lab), -EBADMSG);
        CHECK(reason_has("founder"));
        block_found(&lab, OWNER, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        lab.block.changes[0].text = (Bytes){(const uint8_t *)"#Garden", 7};
        CHECK_EQ(block_take(&lab), -EBADMSG);
        block_found(&lab, OWNER, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        lab.block.has_commitment = false;
        CHECK_EQ(block_take(&lab), -EBADMSG);
        CHECK(reason_has("key"));
        block_begin(&lab, lab.roster, OWNER);
        CHECK_EQ(block_take(&lab), -EBADMSG);
        CHECK_EQ(roster_head(lab.roster)->epoch, 0);
        lab_end(&lab);
}

TEST(a_room_is_made_once) {
        RoomChange c = change(ROOM_CHANGE_CREATE, -1);

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        CHECK_EQ(lab_do(&lab, OWNER, c), -EBADMSG);
        lab_end(&lab);
}

TEST(blocks_follow_one_another) {
        RoomBlock *b;

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        b = block_begin(&lab, lab.roster, OWNER);
        b->epoch = 1;
        CHECK_EQ(block_take(&lab), -ESTALE);
        b = block_begin(&lab, lab.roster, OWNER);
        b->epoch = 3;
        CHECK_EQ(block_take(&lab), -EAGAIN);
        b = block_begin(&lab, lab.roster, OWNER);
        b->prev[0] ^= 1;
        CHECK_EQ(block_take(&lab), -EXDEV);
        b = block_begin(&lab, lab.roster, OWNER);
        b->room[0] ^= 1;
        CHECK_EQ(block_take(&lab), -EBADMSG);
        b = block_begin(&lab, lab.roster, OWNER);
        b->term = 3;
        CHECK_EQ(block_take(&lab), -EBADMSG);
        for (int i = ADMIN; i <= STRANGER; i++) {
                CHECK_EQ(lab_do(&lab, i, change_topic(&lab, 1)), -EPERM);
                CHECK_EQ(roster_code(lab.roster), CODE_NOT_OWNER);
        }
        CHECK_OK(lab_do(&lab, OWNER, change_topic(&lab, 1)));
        CHECK_STR(roster_topic(lab.roster), "text 1");
        lab_end(&lab);
}

TEST(a_block_that_is_refused_has_changed_nothing) {
        uint8_t before[SHA256_SIZE], after[SHA256_SIZE];
        RoomBlock *b;

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        roster_digest(lab.roster, false, before);
        b = block_begin(&lab, lab.roster, OWNER);
        block_add(b, change_topic(&lab, 1));
        block_add(b, change(ROOM_CHANGE_REMOVE, MEMBER));
        block_add(b, change(ROOM_CHANGE_ADD, GUEST));
        block_add(b, change_role(STRANGER, ROOM_ROLE_ADMIN));
        CHECK_EQ(block_take(&lab), -EPERM);
        roster_digest(lab.roster, false, after);
        CHECK(memcmp(before, after, SHA256_SIZE) == 0);
        b->n_changes--;
        block_end(b);
        CHECK_OK(roster_check_block(lab.roster, b));
        roster_digest(lab.roster, false, after);
        CHECK(memcmp(before, after, SHA256_SIZE) == 0);
        CHECK_OK(block_take(&lab));
        CHECK(!is_member(MEMBER) && is_member(GUEST));
        lab_end(&lab);
}

TEST(a_deletion_is_final) {
        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        lab_propose(&lab, MEMBER, change(ROOM_CHANGE_ADD, GUEST));
        CHECK_EQ(lab_verdict(&lab, lab_propose(&lab, ADMIN, change(ROOM_CHANGE_DELETE, -1))),
                ROSTER_BAD);
        CHECK(!lab_may(&lab, ADMIN, change(ROOM_CHANGE_DELETE, -1)));
        CHECK_EQ(roster_code(lab.roster), CODE_NOT_OWNER);
        CHECK(lab_may(&lab, OWNER, change(ROOM_CHANGE_DELETE, -1)));
        CHECK_OK(lab_do(&lab, OWNER, change(ROOM_CHANGE_DELETE, -1)));
        CHECK(roster_deleted(lab.roster));
        CHECK_EQ(lab_do(&lab, OWNER, change_topic(&lab, 1)), -ESHUTDOWN);
        CHECK(!lab_may(&lab, OWNER, change_topic(&lab, 1)));
        lab_pend(&lab, NULL);
        CHECK(!is_member(GUEST));
        lab_end(&lab);
        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        block_add(block_begin(&lab, lab.roster, OWNER), change(ROOM_CHANGE_DELETE, -1));
        block_add(&lab.block, change(ROOM_CHANGE_ADD, GUEST));
        CHECK_EQ(block_take(&lab), -ESHUTDOWN);
        lab_end(&lab);
}

/* Who may what */

/* What may be done in the provisional state, and that a proposal says the same. */
static bool can(int who, RoomChange c) {
        bool may = lab_may(&lab, who, c);

        if (who != OWNER) {
                RosterVerdict v = lab_verdict(&lab, lab_propose(&lab, who, c));

                CHECK_EQ(may, v == ROSTER_APPLIED || v == ROSTER_ACCEPTANCE);
                free(lab.proposals[--lab.n_proposals]);
                lab_pend(&lab, NULL);
        }
        return may;
}

TEST(members_let_others_into_an_open_room) {
        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        CHECK(can(MEMBER, change(ROOM_CHANGE_ADD, GUEST)));
        CHECK(can(MEMBER, change(ROOM_CHANGE_INVITE, GUEST)));
        CHECK(!can(STRANGER, change(ROOM_CHANGE_ADD, GUEST)));
        CHECK_EQ(roster_code(lab.roster), CODE_NOT_MEMBER);
        CHECK(!can(STRANGER, change(ROOM_CHANGE_ADD, STRANGER)));
        CHECK(!can(MEMBER, change(ROOM_CHANGE_ADD, FRIEND)));
        CHECK_EQ(roster_code(lab.roster), CODE_OK); /* he is in */
        lab_end(&lab);
}

TEST(a_room_that_is_not_open_takes_who_is_invited) {
        begin(ROOM_ACCESS_PRIVATE, ROOM_HISTORY_ALL);
        CHECK(!can(MEMBER, change(ROOM_CHANGE_ADD, GUEST)));
        CHECK_EQ(roster_code(lab.roster), CODE_NOT_INVITED);
        CHECK(!can(MEMBER, change(ROOM_CHANGE_INVITE, GUEST)));
        CHECK(can(ADMIN, change(ROOM_CHANGE_ADD, GUEST)));
        CHECK(can(ADMIN, change(ROOM_CHANGE_INVITE, GUEST)));
        lab_propose(&lab, ADMIN, change(ROOM_CHANGE_INVITE, GUEST));
        lab_pend(&lab, NULL);
        CHECK(roster_is_invited(lab.roster, key_of(GUEST)));
        CHECK(can(MEMBER, change(ROOM_CHANGE_ADD, GUEST)));
        CHECK(!can(GUEST, change(ROOM_CHANGE_ADD, GUEST)));
        lab_propose(&lab, MEMBER, change(ROOM_CHANGE_ADD, GUEST));
        lab_pend(&lab, NULL);
        CHECK(is_member(GUEST) && !roster_is_invited(lab.roster, key_of(GUEST)));
        CHECK(roster_member(lab.roster, key_of(GUEST))->provisional);
        CHECK(!roster_final_member(lab.roster, key_of(GUEST)));
        /* The invitation was for once. */
        lab_propose(&lab, GUEST, change(ROOM_CHANGE_LEAVE, GUEST));
        lab_pend(&lab, NULL);
        CHECK(!is_member(GUEST));
        CHECK(!can(MEMBER, change(ROOM_CHANGE_ADD, GUEST)));
        lab_end(&lab);
}

TEST(an_invitation_is_withdrawn) {
        begin(ROOM_ACCESS_PRIVATE, ROOM_HISTORY_ALL);
        CHECK_OK(lab_do(&lab, OWNER, change(ROOM_CHANGE_INVITE, GUEST)));
        CHECK(!can(MEMBER, change(ROOM_CHANGE_REMOVE, GUEST)));
        lab_propose(&lab, ADMIN, change(ROOM_CHANGE_REMOVE, GUEST));
        lab_pend(&lab, NULL);
        CHECK(!roster_member(lab.roster, key_of(GUEST)));
        CHECK(!can(MEMBER, change(ROOM_CHANGE_ADD, GUEST)));
        lab_end(&lab);
}

TEST(nobody_acts_on_equal_or_higher_rank) {
        const int people[] = {OWNER, ADMIN, OTHER_ADMIN, MEMBER, FRIEND, STRANGER};
        const int ranks[] = {3, 2, 2, 1, 1, 0};

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        for (size_t i = 0; i < ELEMENTSOF(people); i++)
                for (size_t k = 0; k < ELEMENTSOF(people); k++) {
                        bool may = ranks[i] >= 2 && ranks[i] > ranks[k] && ranks[k] > 0;

                        CHECK_EQ(can(people[i], change(ROOM_CHANGE_REMOVE, people[k])), may);
                }
        CHECK(!can(ADMIN, change(ROOM_CHANGE_REMOVE, OTHER_ADMIN)));
        CHECK_EQ(roster_code(lab.roster), CODE_NOT_ALLOWED);
        CHECK(reason_has("admin"));
        CHECK_EQ(lab_do(&lab, OWNER, change(ROOM_CHANGE_REMOVE, OWNER)), -EPERM);
        CHECK_EQ(lab_do(&lab, OWNER, change(ROOM_CHANGE_LEAVE, OWNER)), -EPERM);
        CHECK(reason_has("hand the room over"));
        lab_end(&lab);
}

TEST(everybody_but_the_owner_may_leave) {
        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        for (int i = ADMIN; i <= FRIEND; i++)
                CHECK(can(i, change(ROOM_CHANGE_LEAVE, i)));
        CHECK(!can(OWNER, change(ROOM_CHANGE_LEAVE, OWNER)));
        CHECK(!can(STRANGER, change(ROOM_CHANGE_LEAVE, STRANGER)));
        CHECK(!can(ADMIN, change(ROOM_CHANGE_LEAVE, MEMBER)));
        CHECK(!can(MEMBER, change(ROOM_CHANGE_REMOVE, MEMBER)));
        lab_end(&lab);
}

TEST(roles_and_topics_are_for_those_above) {
        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        CHECK(can(ADMIN, change_topic(&lab, 1)));
        CHECK(!can(MEMBER, change_topic(&lab, 1)));
        CHECK(can(OWNER, change_role(MEMBER, ROOM_ROLE_ADMIN)));
        CHECK(!can(OWNER, change_role(STRANGER, ROOM_ROLE_ADMIN)));
        CHECK(!can(OWNER, change_role(OWNER, ROOM_ROLE_MEMBER)));
        CHECK(!can(ADMIN, change_role(MEMBER, ROOM_ROLE_ADMIN)));
        CHECK_EQ(roster_code(lab.roster), CODE_NOT_OWNER);
        CHECK(!can(MEMBER, change_role(MEMBER, ROOM_ROLE_ADMIN)));
        CHECK(!can(MEMBER, change_role(MEMBER, ROOM_ROLE_OWNER)));
        CHECK(!can(ADMIN, change(ROOM_CHANGE_OFFER, ADMIN)));
        CHECK_OK(lab_do(&lab, OWNER, change_role(ADMIN, ROOM_ROLE_MEMBER)));
        CHECK(!can(ADMIN, change_topic(&lab, 1)));
        lab_end(&lab);
}

TEST(a_room_takes_no_more_than_it_may) {
        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        roster_set_max(lab.roster, 6);
        CHECK(lab_may(&lab, MEMBER, change(ROOM_CHANGE_ADD, GUEST)));
        lab_propose(&lab, MEMBER, change(ROOM_CHANGE_ADD, GUEST));
        lab_pend(&lab, NULL);
        CHECK(!lab_may(&lab, MEMBER, change(ROOM_CHANGE_ADD, STRANGER)));
        CHECK_EQ(roster_code(lab.roster), CODE_TOO_MANY);
        /* Of the log it is no rule: others may have another one. */
        CHECK_OK(lab_do(&lab, OWNER, change(ROOM_CHANGE_ADD, STRANGER)));
        lab_end(&lab);
}

/* Removals */

TEST(who_was_removed_comes_back_through_owner_or_admin_only) {
        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        CHECK_OK(lab_do(&lab, OWNER, change_at(ROOM_CHANGE_REMOVE, MEMBER, 3)));
        CHECK(roster_member(lab.roster, key_of(MEMBER))->kicked);
        CHECK(!can(FRIEND, change(ROOM_CHANGE_ADD, MEMBER)));
        CHECK(!can(FRIEND, change(ROOM_CHANGE_INVITE, MEMBER)));
        CHECK(can(ADMIN, change(ROOM_CHANGE_ADD, MEMBER)));
        CHECK_OK(lab_do(&lab, OWNER, change(ROOM_CHANGE_INVITE, MEMBER)));
        CHECK(can(FRIEND, change(ROOM_CHANGE_ADD, MEMBER)));
        /* Who has left comes back as he came. */
        CHECK_OK(lab_do(&lab, OWNER, change_at(ROOM_CHANGE_LEAVE, FRIEND, 3)));
        CHECK(can(ADMIN, change(ROOM_CHANGE_ADD, FRIEND)));
        CHECK_OK(lab_do(&lab, OWNER, change(ROOM_CHANGE_ADD, MEMBER)));
        CHECK(can(MEMBER, change(ROOM_CHANGE_ADD, FRIEND)));
        lab_end(&lab);
}

TEST(a_removal_outruns_what_was_proposed_before_it) {
        RoomProposal *add, *again, *late;

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        add = lab_propose(&lab, ADMIN, change(ROOM_CHANGE_ADD, GUEST));
        again = lab_propose(&lab, MEMBER, change(ROOM_CHANGE_ADD, GUEST));
        lab_pend(&lab, NULL);
        CHECK(is_member(GUEST));
        block_add(block_begin(&lab, lab.roster, OWNER), change(ROOM_CHANGE_ADD, GUEST));
        block_add(&lab.block, change_at(ROOM_CHANGE_REMOVE, GUEST, 2));
        CHECK_OK(block_take(&lab));
        CHECK_EQ(lab_verdict(&lab, add), ROSTER_NO_RIGHT);
        CHECK_EQ(lab_verdict(&lab, again), ROSTER_NO_RIGHT);
        CHECK(!is_member(GUEST));
        late = lab_propose(&lab, ADMIN, change(ROOM_CHANGE_ADD, GUEST));
        CHECK_EQ(lab_verdict(&lab, late), ROSTER_APPLIED);
        CHECK(is_member(GUEST));
        lab_end(&lab);
}

TEST(who_is_removed_does_not_outrun_it) {
        RoomProposal *mine, *kick;

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        kick = lab_propose(&lab, ADMIN, change_at(ROOM_CHANGE_REMOVE, MEMBER, 5));
        mine = lab_propose_at(&lab, MEMBER, change(ROOM_CHANGE_ADD, GUEST), 1, 1);
        CHECK_EQ(lab_verdict(&lab, mine), ROSTER_NO_RIGHT);
        CHECK_EQ(lab_verdict(&lab, kick), ROSTER_APPLIED);
        CHECK(!is_member(MEMBER) && !is_member(GUEST));
        /* And by its place in time: a friend's help from before and after. */
        lab_propose_at(&lab, FRIEND, change(ROOM_CHANGE_ADD, MEMBER), 1, 1);
        lab_propose_at(&lab, FRIEND, change(ROOM_CHANGE_ADD, MEMBER), UINT64_MAX, 1);
        lab_pend(&lab, NULL);
        CHECK(!is_member(MEMBER));
        lab_end(&lab);
}

TEST(somebody_provisional_is_removed) {
        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        lab_propose(&lab, MEMBER, change(ROOM_CHANGE_ADD, GUEST));
        lab_propose(&lab, GUEST, change(ROOM_CHANGE_ADD, STRANGER));
        lab_pend(&lab, NULL);
        CHECK(is_member(GUEST) && is_member(STRANGER));
        lab_propose(&lab, ADMIN, change_at(ROOM_CHANGE_REMOVE, GUEST, 4));
        lab_pend(&lab, NULL);
        CHECK(!is_member(GUEST) && !is_member(STRANGER));
        CHECK(lab_allows(lab.roster, GUEST, 0, 4) && !lab_allows(lab.roster, GUEST, 0, 5));
        lab_end(&lab);
}

/* ADMIN and OTHER_ADMIN remove each other, in either order of time and of arrival. */
TEST(admins_cannot_duel) {
        for (int turn = 0; turn < 4; turn++) {
                uint8_t a[SHA256_SIZE], b[SHA256_SIZE];
                RosterPending p[2];
                RoomProposal *first, *second;

                begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
                first = lab_propose_at(
                        &lab, ADMIN, change(ROOM_CHANGE_REMOVE, OTHER_ADMIN), turn & 1 ? 5 : 9, 1);
                second = lab_propose_at(&lab, OTHER_ADMIN, change(ROOM_CHANGE_REMOVE, ADMIN), 7, 1);
                p[0].proposal = turn & 2 ? first : second;
                p[1].proposal = turn & 2 ? second : first;
                CHECK_OK(roster_take_proposals(lab.roster, p, 2));
                roster_digest(lab.roster, true, a);
                CHECK_EQ(lab_rank(lab.roster, ADMIN), ROOM_ROLE_ADMIN);
                CHECK_EQ(lab_rank(lab.roster, OTHER_ADMIN), ROOM_ROLE_ADMIN);
                CHECK_EQ(p[0].verdict, ROSTER_NO_RIGHT);
                CHECK_EQ(p[1].verdict, ROSTER_NO_RIGHT);
                lab_pend(&lab, NULL);
                roster_digest(lab.roster, true, b);
                CHECK(memcmp(a, b, SHA256_SIZE) == 0);
                lab_end(&lab);
        }
}

TEST(who_is_removed_removes_nobody) {
        RoomProposal *mine;

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        lab_propose(&lab, ADMIN, change(ROOM_CHANGE_REMOVE, MEMBER));
        mine = lab_propose(&lab, MEMBER, change(ROOM_CHANGE_ADD, GUEST));
        CHECK_EQ(lab_verdict(&lab, mine), ROSTER_NO_RIGHT);
        lab_propose(&lab, OWNER, change(ROOM_CHANGE_REMOVE, ADMIN));
        CHECK_EQ(lab_verdict(&lab, mine), ROSTER_APPLIED);
        CHECK(!is_member(ADMIN) && is_member(MEMBER) && is_member(GUEST));
        lab_end(&lab);
}

/* Feeds */

TEST(a_removal_names_the_last_entry) {
        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        CHECK(lab_allows(lab.roster, MEMBER, 0, 1) && lab_allows(lab.roster, MEMBER, 2, 1000));
        CHECK(!lab_allows(lab.roster, MEMBER, 0, 0));
        CHECK(!lab_allows(lab.roster, STRANGER, 0, 1));
        lab_propose(&lab, ADMIN, change_at(ROOM_CHANGE_REMOVE, MEMBER, 5));
        lab_pend(&lab, NULL);
        CHECK(lab_allows(lab.roster, MEMBER, 0, 5));
        CHECK(!lab_allows(lab.roster, MEMBER, 0, 6));
        CHECK(!lab_allows(lab.roster, MEMBER, 1, 1));
        CHECK_EQ(roster_barred(lab.roster, key_of(MEMBER), 1, model_feed(0, 0).device, 1), 6);
        CHECK_EQ(roster_barred(lab.roster, key_of(MEMBER), 1, model_feed(1, 0).device, 1), 1);
        CHECK_EQ(roster_barred(lab.roster, key_of(FRIEND), 1, model_feed(1, 0).device, 1),
                UINT64_MAX);
        lab_end(&lab);
}

TEST(who_is_added_again_goes_on_after_a_hole) {
        const uint8_t *device;
        FeedHead head = model_feed(0, 0), at;
        uint64_t end;

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        CHECK_OK(lab_do(&lab, OWNER, change_at(ROOM_CHANGE_REMOVE, MEMBER, 5)));
        CHECK_OK(lab_do(&lab, OWNER, change_at(ROOM_CHANGE_ADD, MEMBER, 8)));
        device = head.device;
        for (uint64_t seq = 1; seq < 20; seq++)
                CHECK_EQ(lab_allows(lab.roster, MEMBER, 0, seq), seq <= 5 || seq > 8);
        CHECK(lab_allows(lab.roster, MEMBER, 1, 1)); /* of which nobody has said anything */
        CHECK_EQ(roster_barred(lab.roster, key_of(MEMBER), 1, device, 1), 6);
        CHECK_EQ(roster_barred(lab.roster, key_of(MEMBER), 1, device, 7), 7);
        CHECK_EQ(roster_barred(lab.roster, key_of(MEMBER), 1, device, 9), UINT64_MAX);
        CHECK_EQ(roster_allowed(lab.roster, key_of(MEMBER), 1, device, 5), 5);
        CHECK_EQ(roster_allowed(lab.roster, key_of(MEMBER), 1, device, 6), 9);
        CHECK_EQ(roster_allowed(lab.roster, key_of(STRANGER), 1, device, 1), UINT64_MAX);
        CHECK(roster_resume(lab.roster, key_of(MEMBER), 1, device, 9, &at, &end));
        CHECK(at.seq == 8 && at.hash[0] == 8 && end == 5);
        for (uint64_t seq = 0; seq < 20; seq++)
                CHECK_EQ(roster_resume(lab.roster, key_of(MEMBER), 1, device, seq, &at, &end),
                        seq == 9);
        lab_end(&lab);
}

TEST(what_once_was_a_hole_stays_one) {
        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        CHECK_OK(lab_do(&lab, OWNER, change_at(ROOM_CHANGE_REMOVE, MEMBER, 5)));
        CHECK_OK(lab_do(&lab, OWNER, change_at(ROOM_CHANGE_ADD, MEMBER, 8)));
        CHECK_OK(lab_do(&lab, OWNER, change_at(ROOM_CHANGE_REMOVE, MEMBER, 6)));
        CHECK(!lab_allows(lab.roster, MEMBER, 0, 9));
        CHECK_OK(lab_do(&lab, OWNER, change_at(ROOM_CHANGE_ADD, MEMBER, 6)));
        for (uint64_t seq = 1; seq < 20; seq++)
                CHECK_EQ(lab_allows(lab.roster, MEMBER, 0, seq), seq <= 5 || seq > 8);
        lab_end(&lab);
}

TEST(a_removal_takes_nothing_of_earlier_times) {
        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        CHECK_OK(lab_do(&lab, OWNER, change_at(ROOM_CHANGE_LEAVE, MEMBER, 5)));
        CHECK_OK(lab_do(&lab, OWNER, change_at(ROOM_CHANGE_ADD, MEMBER, 5)));
        CHECK_OK(lab_do(&lab, OWNER, change_at(ROOM_CHANGE_REMOVE, MEMBER, 3)));
        for (uint64_t seq = 1; seq < 20; seq++)
                CHECK_EQ(lab_allows(lab.roster, MEMBER, 0, seq), seq <= 5);
        lab_end(&lab);
}

TEST(leaving_and_coming_back_leaves_nothing_behind) {
        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        for (uint64_t i = 1; i < 300; i++) {
                CHECK_OK(lab_do(&lab, OWNER, change_at(ROOM_CHANGE_LEAVE, MEMBER, i)));
                CHECK_OK(lab_do(&lab, OWNER, change_at(ROOM_CHANGE_ADD, MEMBER, i)));
        }
        CHECK(lab_allows(lab.roster, MEMBER, 0, 1) && lab_allows(lab.roster, MEMBER, 0, 1000));
        /* Nor does coming without writing anything. */
        for (uint64_t i = 301; i < 600; i++) {
                CHECK_OK(lab_do(&lab, OWNER, change(ROOM_CHANGE_REMOVE, MEMBER)));
                CHECK_OK(lab_do(&lab, OWNER, change_at(ROOM_CHANGE_ADD, MEMBER, i)));
        }
        CHECK(lab_allows(lab.roster, MEMBER, 0, 299) && !lab_allows(lab.roster, MEMBER, 0, 300));
        lab_end(&lab);
}

TEST(holes_are_bounded_and_removals_always_work) {
        uint64_t seq = 1;
        int r = 0;

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        for (; r == 0 && seq < 1000; seq += 2) {
                CHECK_OK(lab_do(&lab, OWNER, change_at(ROOM_CHANGE_REMOVE, MEMBER, seq)));
                r = lab_do(&lab, OWNER, change_at(ROOM_CHANGE_ADD, MEMBER, seq + 1));
        }
        CHECK_EQ(r, -E2BIG);
        CHECK_EQ(roster_code(lab.roster), CODE_TOO_MANY);
        CHECK(seq > 100);
        lab_end(&lab);
}

/* Ownership */

static RoomProposal *accepts(int n) {
        return lab_propose(&lab, n, change_role(n, ROOM_ROLE_OWNER));
}

TEST(a_room_is_handed_over_by_both) {
        RoomProposal *early, *yes, *no;
        RoomBlock *b;

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        early = accepts(MEMBER);
        CHECK_EQ(lab_verdict(&lab, early), ROSTER_NO_RIGHT);
        CHECK_OK(lab_do(&lab, OWNER, change(ROOM_CHANGE_OFFER, MEMBER)));
        CHECK(memcmp(roster_offered(lab.roster), key_of(MEMBER), KEY_SIZE) == 0);
        /* What he said before he was asked is no answer. */
        CHECK_EQ(lab_verdict(&lab, early), ROSTER_NO_RIGHT);
        no = accepts(FRIEND);
        yes = accepts(MEMBER);
        CHECK_EQ(lab_verdict(&lab, no), ROSTER_NO_RIGHT);
        CHECK_EQ(lab_verdict(&lab, yes), ROSTER_ACCEPTANCE);
        CHECK_EQ(lab_rank(lab.roster, MEMBER), ROOM_ROLE_MEMBER); /* not before the block */

        CHECK_EQ(lab_do(&lab, OWNER, change_role(MEMBER, ROOM_ROLE_OWNER)), -EPERM);
        CHECK(reason_has("accepted"));
        b = block_begin(&lab, lab.roster, OWNER);
        block_add(b, change_role(FRIEND, ROOM_ROLE_OWNER));
        block_settle(b, no);
        block_settle(b, yes);
        CHECK_EQ(block_take(&lab), -EPERM);
        b = block_begin(&lab, lab.roster, OWNER);
        block_add(b, change_role(MEMBER, ROOM_ROLE_OWNER));
        block_add(b, change_topic(&lab, 1));
        block_settle(b, yes);
        CHECK_EQ(block_take(&lab), -EBADMSG);
        b->n_changes = 1;
        lab.forgetful = true;
        CHECK_EQ(block_take(&lab), -ENOENT);
        lab.forgetful = false;
        CHECK_OK(block_take(&lab));

        CHECK_EQ(lab_rank(lab.roster, MEMBER), ROOM_ROLE_OWNER);
        CHECK_EQ(lab_rank(lab.roster, OWNER), ROOM_ROLE_ADMIN);
        CHECK(!roster_offered(lab.roster));
        CHECK_EQ(roster_head(lab.roster)->term, 1);
        CHECK_EQ(lab_verdict(&lab, yes), ROSTER_SETTLED);
        CHECK_EQ(lab_do(&lab, OWNER, change_topic(&lab, 2)), -EPERM);
        CHECK_OK(lab_do(&lab, MEMBER, change_topic(&lab, 2)));
        CHECK_OK(lab_do(&lab, MEMBER, change(ROOM_CHANGE_LEAVE, OWNER)));
        lab_end(&lab);
}

TEST(an_offer_can_be_taken_back) {
        RoomProposal *yes;
        RoomBlock *b;

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        CHECK_EQ(lab_do(&lab, OWNER, change(ROOM_CHANGE_OFFER, STRANGER)), -EPERM);
        CHECK_OK(lab_do(&lab, OWNER, change(ROOM_CHANGE_OFFER, MEMBER)));
        yes = accepts(MEMBER);
        CHECK_OK(lab_do(&lab, OWNER, change(ROOM_CHANGE_OFFER, OWNER)));
        CHECK(!roster_offered(lab.roster));
        CHECK_OK(lab_do(&lab, OWNER, change(ROOM_CHANGE_OFFER, MEMBER)));
        /* To the offer of then. */
        b = block_begin(&lab, lab.roster, OWNER);
        block_add(b, change_role(MEMBER, ROOM_ROLE_OWNER));
        block_settle(b, yes);
        CHECK_EQ(block_take(&lab), -EPERM);
        CHECK_OK(lab_do(&lab, OWNER, change(ROOM_CHANGE_REMOVE, MEMBER)));
        CHECK(!roster_offered(lab.roster));
        lab_end(&lab);
}

static int open_term(int author, uint64_t term, uint64_t sent, const RoomProposal *p) {
        RoomBlock *b = block_begin(&lab, lab.roster, author);

        b->term = term;
        b->sent = sent;
        if (p)
                block_settle(b, p);
        return block_take(&lab);
}

TEST(the_first_admin_takes_the_place_of_an_absent_owner) {
        RoomProposal *waits, *nothing;
        uint64_t week;

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        CHECK_OK(lab_do(&lab, OWNER, change_topic(&lab, 1)));
        nothing = lab_propose(&lab, STRANGER, change(ROOM_CHANGE_ADD, GUEST));
        waits = lab_propose(&lab, MEMBER, change(ROOM_CHANGE_ADD, GUEST));
        week = lab.now + ROSTER_TERM_ABSENCE;
        CHECK(memcmp(roster_deputy(lab.roster), key_of(ADMIN), KEY_SIZE) == 0);
        CHECK_EQ(open_term(OTHER_ADMIN, 2, week, waits), -EPERM);
        CHECK_EQ(open_term(OWNER, 2, week, waits), -EPERM);
        CHECK_EQ(open_term(ADMIN, 3, week, waits), -EBADMSG);
        CHECK_EQ(open_term(ADMIN, 1, week, waits), -EPERM);
        CHECK_EQ(open_term(ADMIN, 2, week, NULL), -EPERM);
        CHECK_EQ(open_term(ADMIN, 2, week, nothing), -EPERM);
        CHECK_EQ(open_term(ADMIN, 2, week - 1, waits), -EPERM);
        CHECK(!roster_may_open_term(lab.roster, key_of(ADMIN), waits, week - 1));
        CHECK(!roster_may_open_term(lab.roster, key_of(MEMBER), waits, week));
        CHECK(roster_may_open_term(lab.roster, key_of(ADMIN), waits, week));
        lab.forgetful = true;
        CHECK_EQ(open_term(ADMIN, 2, week, waits), -ENOENT);
        lab.forgetful = false;
        CHECK_OK(open_term(ADMIN, 2, week, waits));
        CHECK_EQ(lab_rank(lab.roster, ADMIN), ROOM_ROLE_OWNER);
        CHECK_EQ(lab_rank(lab.roster, OWNER), ROOM_ROLE_ADMIN);
        CHECK_EQ(roster_head(lab.roster)->term, 2);
        /* The next one would be he who was admin before the old owner. */
        CHECK(memcmp(roster_deputy(lab.roster), key_of(OTHER_ADMIN), KEY_SIZE) == 0);
        CHECK_EQ(lab_do(&lab, OWNER, change_topic(&lab, 2)), -EPERM);
        CHECK_OK(lab_do(&lab, ADMIN, change_topic(&lab, 2)));
        lab_end(&lab);
}

TEST(an_owner_who_writes_blocks_is_not_absent) {
        RoomProposal *waits;
        uint64_t sent;

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        waits = lab_propose(&lab, MEMBER, change(ROOM_CHANGE_ADD, GUEST));
        lab.now += ROSTER_TERM_ABSENCE;
        CHECK_OK(lab_do(&lab, OWNER, change_topic(&lab, 1)));
        sent = lab.now;
        CHECK_EQ(open_term(ADMIN, 2, sent + USEC_PER_DAY, waits), -EPERM);
        CHECK(reason_has("not absent"));
        /* An answer is an answer, also when it is no. */
        block_settle(block_begin(&lab, lab.roster, OWNER), waits);
        CHECK_OK(block_take(&lab));
        CHECK_EQ(open_term(ADMIN, 2, sent + 2 * ROSTER_TERM_ABSENCE, waits), -EPERM);
        lab_end(&lab);
}

TEST(of_two_chains_one_is_the_one) {
        RoomBlock a, b;
        bool fork;

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        block_add(block_begin(&lab, lab.roster, OWNER), change_topic(&lab, 1));
        block_end(&lab.block);
        a = lab.block;
        CHECK_EQ(roster_compare_blocks(&a, &a, &fork), 0);
        CHECK(!fork);
        block_add(block_begin(&lab, lab.roster, ADMIN), change_topic(&lab, 2));
        lab.block.term = 2;
        block_end(&lab.block);
        b = lab.block;
        CHECK(roster_compare_blocks(&a, &b, &fork) > 0 && !fork);
        CHECK(roster_compare_blocks(&b, &a, &fork) < 0 && !fork);
        b.term = 1;
        CHECK_EQ(roster_compare_blocks(&a, &b, &fork) < 0, memcmp(a.hash, b.hash, SHA256_SIZE) < 0);
        CHECK(!fork);
        memcpy(b.account, a.account, KEY_SIZE);
        (void)roster_compare_blocks(&a, &b, &fork);
        CHECK(fork);
        lab_end(&lab);
}

/* Keys */

/* Whether a block with C alone is taken without a new key. */
static bool keeps_key(RoomChange c) {
        RoomBlock *b = block_begin(&lab, lab.roster, OWNER);
        int r;

        block_add(b, c);
        b->has_commitment = false;
        block_end(b);
        r = roster_check_block(lab.roster, b);
        CHECK(r == 0 || r == -EBADMSG);
        CHECK_EQ(r < 0, roster_needs_key(lab.roster, &c, 1));
        return r == 0;
}

TEST(who_goes_takes_the_key_along) {
        for (int joined = 0; joined < 2; joined++) {
                begin(ROOM_ACCESS_OPEN, joined ? ROOM_HISTORY_JOINED : ROOM_HISTORY_ALL);
                CHECK(!keeps_key(change(ROOM_CHANGE_REMOVE, MEMBER)));
                CHECK(!keeps_key(change(ROOM_CHANGE_LEAVE, ADMIN)));
                CHECK_EQ(keeps_key(change(ROOM_CHANGE_ADD, GUEST)), !joined);
                CHECK(keeps_key(change_topic(&lab, 1)));
                CHECK(keeps_key(change(ROOM_CHANGE_INVITE, GUEST)));
                lab_end(&lab);
        }
}

static bool entitled(int n, uint64_t key_epoch) {
        return roster_entitled(lab.roster, key_of(n), key_epoch);
}

TEST(keys_are_for_members) {
        for (int joined = 0; joined < 2; joined++) {
                begin(ROOM_ACCESS_OPEN, joined ? ROOM_HISTORY_JOINED : ROOM_HISTORY_ALL);
                CHECK_OK(lab_do(&lab, OWNER, change(ROOM_CHANGE_REMOVE, MEMBER))); /* 2 */
                block_add(block_begin(&lab, lab.roster, OWNER), change_topic(&lab, 1));
                lab.block.has_commitment = false;
                CHECK_OK(block_take(&lab)); /* 3 */
                CHECK_EQ(roster_key_epoch(lab.roster, 1), 1);
                CHECK_EQ(roster_key_epoch(lab.roster, 3), 2);
                CHECK_EQ(roster_key_epoch(lab.roster, 100), 2);
                CHECK(!roster_commitment(lab.roster, 3));
                CHECK(!entitled(MEMBER, 1) && !entitled(MEMBER, 2));
                CHECK(entitled(FRIEND, 1) && entitled(FRIEND, 2) && !entitled(FRIEND, 3));
                CHECK(!entitled(GUEST, 2));
                /* Let in by a member, he has the key that is in force at once, unless that opens
                 * what was said before. */
                lab_propose(&lab, FRIEND, change(ROOM_CHANGE_ADD, GUEST));
                lab_pend(&lab, NULL);
                CHECK_EQ(entitled(GUEST, 2), !joined);
                CHECK_EQ(entitled(GUEST, 1), !joined);
                CHECK_OK(lab_do(&lab, OWNER, change(ROOM_CHANGE_ADD, GUEST))); /* 4 */
                CHECK(entitled(GUEST, 4));
                CHECK_EQ(entitled(GUEST, 2), !joined);
                CHECK(entitled(FRIEND, 1));
                lab_end(&lab);
        }
}

/* What is pending */

TEST(proposals_are_judged) {
        RoomProposal *p[8];

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        p[0] = lab_propose(&lab, MEMBER, change(ROOM_CHANGE_ADD, GUEST));
        p[1] = lab_propose(&lab, FRIEND, change(ROOM_CHANGE_ADD, GUEST));
        p[2] = lab_propose_at(&lab, FRIEND, change(ROOM_CHANGE_ADD, STRANGER), 0, 9);
        p[3] = lab_propose(&lab, FRIEND, change_role(ADMIN, ROOM_ROLE_OWNER));
        p[4] = lab_propose(&lab, MEMBER, change_topic(&lab, 1));
        p[5] = lab_propose(&lab, MEMBER, change_topic(&lab, 1));
        p[5]->room[0] ^= 1;
        CHECK_EQ(lab_verdict(&lab, p[0]), ROSTER_APPLIED);
        CHECK_EQ(lab_verdict(&lab, p[1]), ROSTER_MOOT);
        CHECK_EQ(lab_verdict(&lab, p[2]), ROSTER_AHEAD);
        CHECK_EQ(lab_verdict(&lab, p[3]), ROSTER_BAD);
        CHECK_EQ(lab_verdict(&lab, p[4]), ROSTER_NO_RIGHT);
        CHECK_EQ(lab_verdict(&lab, p[5]), ROSTER_BAD);
        block_settle(block_begin(&lab, lab.roster, OWNER), p[0]);
        CHECK_OK(block_take(&lab));
        CHECK(!is_member(GUEST));
        CHECK_EQ(lab_verdict(&lab, p[0]), ROSTER_SETTLED);
        CHECK_EQ(lab_verdict(&lab, p[1]), ROSTER_APPLIED); /* the other one is still there */
        lab_end(&lab);
}

TEST(nobody_floods_a_room_with_proposals) {
        RosterPending list[LAB_PROPOSALS_MAX];
        RoomProposal *kick;
        size_t over = 0;

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        for (int i = 0; i < 200; i++)
                lab_propose_at(&lab, MEMBER, change(ROOM_CHANGE_INVITE, GUEST), 5, 1);
        kick = lab_propose(&lab, ADMIN, change(ROOM_CHANGE_REMOVE, FRIEND));
        lab_pend(&lab, list);
        for (size_t i = 0; i < lab.n_proposals; i++)
                over += list[i].verdict == ROSTER_OVER;
        CHECK_EQ(over, 200 - ROSTER_PENDING_EACH_MAX);
        CHECK_EQ(lab_verdict(&lab, kick), ROSTER_APPLIED);
        lab_end(&lab);
}

TEST(what_was_settled_long_ago_does_not_come_back) {
        RoomProposal *old;
        RoomBlock *b;

        begin(ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        old = lab_propose(&lab, MEMBER, change(ROOM_CHANGE_ADD, GUEST));
        block_settle(block_begin(&lab, lab.roster, OWNER), old);
        CHECK_OK(block_take(&lab));
        for (int i = 0; i < ROSTER_SETTLED_KEPT / ROOM_SETTLED_MAX + 1; i++) {
                CHECK(lab_verdict(&lab, old) >= ROSTER_SETTLED);
                b = block_begin(&lab, lab.roster, OWNER);
                for (b->n_settled = 0; b->n_settled < ROOM_SETTLED_MAX; b->n_settled++)
                        sha256(&(int){i * ROOM_SETTLED_MAX + (int)b->n_settled}, sizeof(int),
                                b->settled[b->n_settled]);
                CHECK_OK(block_take(&lab));
        }
        CHECK_EQ(lab_verdict(&lab, old), ROSTER_STALE);
        CHECK_EQ(lab_verdict(&lab, lab_propose(&lab, MEMBER, change(ROOM_CHANGE_ADD, GUEST))),
                ROSTER_APPLIED);
        lab_end(&lab);
}
