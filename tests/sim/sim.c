/* SPDX-License-Identifier: GPL-3.0-or-later */

/* sim: stories at random, until one of them breaks a promise. See docs/TESTING.md. */

#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>

#include "generate.h"
#include "shrink.h"
#include "trial.h"

#define DAYS_DEFAULT 10
#define DAYS_MAX 1000

/* A run of ten days takes a second or two; a room of two hundred half a minute. */
#define CPU_SECONDS_A_DAY 12
#define CPU_SECONDS_A_USER 3
#define FEW_USERS 16

#define SHRINK_MINUTES_DEFAULT 10
#define SEEDS_MAX 1000000

typedef enum Mode {
        MODE_RUN,
        MODE_PRINT,
        MODE_SHRINK,
        MODE_SAME,
} Mode;

/* What is run: the story of a seed, or of a file. */
typedef struct Subject {
        uint64_t seed;
        const char *path; /* or NULL */
} Subject;

static Mode arg_mode = MODE_RUN;
static uint64_t arg_days = DAYS_DEFAULT, arg_jobs, arg_minutes = SHRINK_MINUTES_DEFAULT;
static uint64_t arg_members; /* 0: a room of few */
static bool arg_stop_at_first, arg_rooms, arg_devices;
static const char *arg_trace, *arg_command;
static Subject *arg_subjects;
static size_t arg_n_subjects;

typedef struct Session {
        FILE *trace; /* or NULL */

        /* Of the subjects that are done. */
        size_t n_done, n_failed;
        usec_t time;
        uint64_t turns;
} Session;

/* Returns R. */
static int complain(int r, const char *what, const char *why) {
        fprintf(stderr, "sim: %s: %s\n", what, why);
        return r;
}

static int subject_load(const Subject *subject, Script *ret) {
        ScriptError error = {};
        int r;

        if (!subject->path && arg_members > 0)
                return generate_big_room(subject->seed, (unsigned)arg_members, ret);
        if (!subject->path && arg_devices)
                return generate_devices(subject->seed, ret);
        if (!subject->path && arg_rooms)
                return generate_rooms(subject->seed, ret);
        if (!subject->path)
                return generate(subject->seed, arg_days, ret);
        r = script_load(subject->path, ret, &error);
        if (r < 0)
                complain(r, subject->path, error.text[0] ? error.text : strerror(-r));
        return r;
}

static unsigned cpu_seconds(const Script *s) {
        usec_t end = s->n > 0 ? s->actions[s->n - 1].at : 0;

        return CPU_SECONDS_A_DAY * (2 + end / USEC_PER_DAY) +
                (s->n_users > FEW_USERS ? CPU_SECONDS_A_USER * s->n_users : 0);
}

/* The command that does it again. */
static void print_replay(const Subject *subject) {
        if (subject->path)
                printf("  %s %s\n", arg_command, subject->path);
        else if (arg_members > 0)
                printf("  %s --rooms --members %" PRIu64 " %" PRIu64 "\n", arg_command, arg_members,
                        subject->seed);
        else if (arg_devices)
                printf("  %s --devices %" PRIu64 "\n", arg_command, subject->seed);
        else if (arg_rooms)
                printf("  %s --rooms %" PRIu64 "\n", arg_command, subject->seed);
        else if (arg_days == DAYS_DEFAULT)
                printf("  %s %" PRIu64 "\n", arg_command, subject->seed);
        else
                printf("  %s --days %" PRIu64 " %" PRIu64 "\n", arg_command, arg_days,
                        subject->seed);
}

static const char *subject_name(const Subject *subject, char buf[static 32]) {
        if (subject->path)
                return subject->path;
        snprintf(buf, 32, "seed %" PRIu64, subject->seed);
        return buf;
}

static void print_failure(const Subject *subject, const Verdict *v) {
        char name[32];

        printf("%s: %s after %.1f days: %s\n", subject_name(subject, name), v->oracle,
                (double)v->time / USEC_PER_DAY, v->text);
        print_replay(subject);
        fflush(stdout);
}

/* Running */

static void session_run(void *userdata, size_t i, Verdict *ret) {
        Session *s = userdata;
        Script script;

        if (subject_load(&arg_subjects[i], &script) < 0)
                exit(EXIT_FAILURE);
        script_run(&script, s->trace, ret);
        script_done(&script);
}

static bool session_done(void *userdata, size_t i, const Verdict *v) {
        Session *s = userdata;

        s->n_done++;
        s->time += v->time;
        s->turns += v->turns;
        if (!v->oracle[0])
                return true;
        s->n_failed++;
        print_failure(&arg_subjects[i], v);
        return !arg_stop_at_first;
}

static void print_table(const Session *s, double seconds) {
        printf("%8s %8s %10s %12s %10s %16s %9s\n", "stories", "failed", "days", "turns", "turns/s",
                "simulated/real", "seconds");
        printf("%8zu %8zu %10.1f %12" PRIu64 " %10.0f %16.0f %9.1f\n", s->n_done, s->n_failed,
                (double)s->time / USEC_PER_DAY, s->turns, s->turns / seconds,
                (double)s->time / USEC_PER_SEC / seconds, seconds);
}

/* A file that cannot be read is no story that fails. */
static int check_files(void) {
        for (size_t i = 0; i < arg_n_subjects; i++) {
                Script script;
                int r;

                if (!arg_subjects[i].path)
                        continue;
                r = subject_load(&arg_subjects[i], &script);
                if (r < 0)
                        return r;
                script_done(&script);
        }
        return 0;
}

static int run(void) {
        Session s = {};
        Trials t = {.at_once = arg_jobs,
                .cpu_seconds = (unsigned)(CPU_SECONDS_A_DAY * (2 + arg_days) +
                        CPU_SECONDS_A_USER * arg_members),
                .run = session_run,
                .done = session_done,
                .userdata = &s};
        usec_t begin = usec_monotonic();
        int r;

        r = check_files();
        if (r < 0)
                return r;
        if (arg_trace) {
                s.trace = fopen(arg_trace, "we");
                if (!s.trace)
                        return complain(-errno, arg_trace, strerror(errno));
        }
        r = trials_run(&t, arg_n_subjects);
        if (s.trace && fclose(s.trace) != 0 && r >= 0)
                r = -errno;
        if (r < 0)
                return complain(r, "cannot run", strerror(-r));
        print_table(&s, (double)(usec_monotonic() - begin + 1) / USEC_PER_SEC);
        return s.n_failed > 0;
}

/* Running twice */

typedef struct Twice {
        const Script *script;
        Verdict verdicts[2];
} Twice;

/* Children of one process have one layout: memory that nobody has written to at least differs. */
static void twice_run(void *userdata, size_t i, Verdict *ret) {
        Twice *t = userdata;

        (void)mallopt(M_PERTURB, (int)i + 1);
        script_run(t->script, NULL, ret);
}

static bool twice_done(void *userdata, size_t i, const Verdict *v) {
        Twice *t = userdata;

        t->verdicts[i] = *v;
        return true;
}

static int run_twice(const Subject *subject) {
        char name[32];
        Script script;
        Twice twice = {.script = &script};
        Trials t = {.at_once = arg_jobs, .run = twice_run, .done = twice_done, .userdata = &twice};
        const Verdict *v = twice.verdicts;
        int r;

        r = subject_load(subject, &script);
        if (r < 0)
                return r;
        t.cpu_seconds = cpu_seconds(&script);
        r = trials_run(&t, 2);
        script_done(&script);
        if (r < 0)
                return r;
        r = v[0].turns != v[1].turns || memcmp(v[0].digest, v[1].digest, SHA256_SIZE) != 0;
        printf("%s: %s, %" PRIu64 " and %" PRIu64 " turns, digests ", subject_name(subject, name),
                r ? "not the same" : "the same", v[0].turns, v[1].turns);
        for (unsigned i = 0; i < 8; i++)
                printf("%02x", v[0].digest[i]);
        printf(" and ");
        for (unsigned i = 0; i < 8; i++)
                printf("%02x", v[1].digest[i]);
        printf("\n");
        return r;
}

/* Shrinking */

typedef struct Shrinking {
        const Script *candidates;
        size_t lowest; /* of those that fail */
        unsigned cpu_seconds;
        char oracle[ORACLE_SIZE]; /* by which they are to fail; "": any */
        Verdict verdict; /* of the last one that failed */
        usec_t deadline;
        uint64_t n_tried;
} Shrinking;

static void shrinking_run(void *userdata, size_t i, Verdict *ret) {
        const Shrinking *s = userdata;

        script_run(&s->candidates[i], NULL, ret);
}

static bool shrinking_done(void *userdata, size_t i, const Verdict *v) {
        Shrinking *s = userdata;

        bool fails = s->oracle[0] ? streq(v->oracle, s->oracle) : v->oracle[0];

        if (fails && i < s->lowest) {
                s->lowest = i;
                s->verdict = *v;
        }
        return s->lowest > 0;
}

static int shrinking_try(void *userdata, const Script *candidates, size_t n) {
        Shrinking *s = userdata;
        Trials t = {.at_once = arg_jobs,
                .cpu_seconds = s->cpu_seconds,
                .run = shrinking_run,
                .done = shrinking_done,
                .userdata = s};
        int r;

        if (usec_monotonic() > s->deadline)
                return -ETIME;
        s->candidates = candidates;
        s->lowest = n;
        s->n_tried += n;
        r = trials_run(&t, n);
        return r < 0 ? r : (int)s->lowest;
}

/* What it fails by, and without what comes later. */
static int shrinking_begin(Shrinking *s, Script *script) {
        Trials t = {.cpu_seconds = cpu_seconds(script),
                .run = shrinking_run,
                .done = shrinking_done,
                .userdata = s};
        int r;

        s->candidates = script;
        s->lowest = 1;
        r = trials_run(&t, 1);
        if (r < 0)
                return r;
        snprintf(s->oracle, sizeof(s->oracle), "%s", s->verdict.oracle);
        if (s->verdict.n_done > 0)
                script->n = MIN(script->n, s->verdict.n_done);
        return s->oracle[0] != '\0';
}

static int run_shrink(const Subject *subject) {
        Shrinking s = {.deadline = usec_monotonic() + arg_minutes * USEC_PER_MINUTE};
        Script script;
        char name[32];
        size_t n;
        int r;

        r = subject_load(subject, &script);
        if (r < 0)
                return r;
        n = script.n;
        s.cpu_seconds = cpu_seconds(&script);
        r = shrinking_begin(&s, &script);
        if (r > 0)
                r = shrink(&script, arg_jobs ?: trials_at_once(), shrinking_try, &s) ?: 1;
        if (r == 0)
                fprintf(stderr, "sim: %s: all holds\n", subject_name(subject, name));
        if (r > 0) {
                printf("# %s: %s\n# %zu of %zu actions of %s, after %" PRIu64 " runs\n", s.oracle,
                        s.verdict.text, script.n, n, subject_name(subject, name), s.n_tried);
                script_print(&script, stdout);
        }
        script_done(&script);
        return r;
}

static int run_print(const Subject *subject) {
        Script script;
        int r;

        r = subject_load(subject, &script);
        if (r < 0)
                return r;
        script_print(&script, stdout);
        script_done(&script);
        return 0;
}

/* The command line */

static int print_help(void) {
        printf("sim [OPTIONS] SEED|FILE...\n\n"
               "Machines with the real programs on them in a world that tries to break them: the\n"
               "stories that these seeds make, or that are written in these files.\n\n"
               "  --seeds FIRST-LAST  these seeds\n"
               "  --days N            of each seed, %d where not given\n"
               "  --rooms             of each seed a story of a room\n"
               "  --devices           of each seed a story of people with several devices\n"
               "  --members N         of a room with so many, %d to %d\n"
               "  --jobs N            at the same time, as many as there are processors\n"
               "  --stop-at-first     when something has failed\n"
               "  --trace FILE        write there all that happens, of one seed or file\n"
               "  --print             print the stories and do nothing\n"
               "  --same              run each twice, and compare the traces\n"
               "  --shrink            cut the story down to what it takes to fail, and print that\n"
               "  --minutes N         that --shrink may take, %d where not given\n"
               "  --phrases           print what a story can say\n"
               "  --help              print this and exit\n\n"
               "The exit status is 0 when all held, 1 when something did not, 2 when it cannot\n"
               "run. See docs/TESTING.md.\n",
                DAYS_DEFAULT, BIG_ROOM_MIN, SCRIPT_USERS_MAX, SHRINK_MINUTES_DEFAULT);
        return 0;
}

static bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret) {
        char *end;
        uint64_t n;

        errno = 0;
        n = strtoull(text, &end, 10);
        if (errno != 0 || *text < '0' || *text > '9' || *end || n < least || n > most)
                return false;
        *ret = n;
        return true;
}

static int add_subject(uint64_t seed, const char *path) {
        Subject *subjects = reallocarray(arg_subjects, arg_n_subjects + 1, sizeof(*subjects));

        if (!subjects)
                return -ENOMEM;
        arg_subjects = subjects;
        arg_subjects[arg_n_subjects++] = (Subject){.seed = seed, .path = path};
        return 0;
}

/* "1-100". */
static int add_seeds(char *text) {
        char *dash = strchr(text, '-');
        uint64_t first, last;
        int r = 0;

        if (dash)
                *dash++ = 0;
        if (!dash || !parse_number(text, 0, UINT64_MAX, &first) ||
                !parse_number(dash, first, first + SEEDS_MAX, &last))
                return complain(-EINVAL, "--seeds", "expected two numbers, such as 1-100");
        for (uint64_t seed = first; seed <= last && r >= 0; seed++)
                r = add_subject(seed, NULL);
        return r;
}

static int add_argument(const char *text) {
        uint64_t seed;

        if (parse_number(text, 0, UINT64_MAX, &seed))
                return add_subject(seed, NULL);
        return add_subject(0, text);
}

static int parse_limit(
        const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *ret) {
        char why[64];

        if (parse_number(text, least, most, ret))
                return 0;
        snprintf(why, sizeof(why), "expected a number from %" PRIu64 " to %" PRIu64, least, most);
        return complain(-EINVAL, option, why);
}

enum {
        OPTION_SEEDS = 256,
        OPTION_DAYS,
        OPTION_ROOMS,
        OPTION_DEVICES,
        OPTION_MEMBERS,
        OPTION_JOBS,
        OPTION_STOP_AT_FIRST,
        OPTION_TRACE,
        OPTION_PRINT,
        OPTION_SAME,
        OPTION_SHRINK,
        OPTION_MINUTES,
        OPTION_PHRASES,
        OPTION_HELP,
};

static const struct option options[] = {
        {"seeds", required_argument, NULL, OPTION_SEEDS},
        {"days", required_argument, NULL, OPTION_DAYS},
        {"rooms", no_argument, NULL, OPTION_ROOMS},
        {"devices", no_argument, NULL, OPTION_DEVICES},
        {"members", required_argument, NULL, OPTION_MEMBERS},
        {"jobs", required_argument, NULL, OPTION_JOBS},
        {"stop-at-first", no_argument, NULL, OPTION_STOP_AT_FIRST},
        {"trace", required_argument, NULL, OPTION_TRACE},
        {"print", no_argument, NULL, OPTION_PRINT},
        {"same", no_argument, NULL, OPTION_SAME},
        {"shrink", no_argument, NULL, OPTION_SHRINK},
        {"minutes", required_argument, NULL, OPTION_MINUTES},
        {"phrases", no_argument, NULL, OPTION_PHRASES},
        {"help", no_argument, NULL, OPTION_HELP},
        {},
};

/* 1: go on; 0: done; < 0: wrong, said. */
static int parse_option(int c) {
        int r = 0;

        switch (c) {
        case OPTION_SEEDS:
                r = add_seeds(optarg);
                break;
        case OPTION_DAYS:
                r = parse_limit("--days", optarg, 1, DAYS_MAX, &arg_days);
                break;
        case OPTION_JOBS:
                r = parse_limit("--jobs", optarg, 1, TRIALS_AT_ONCE_MAX, &arg_jobs);
                break;
        case OPTION_ROOMS:
                arg_rooms = true;
                break;
        case OPTION_DEVICES:
                arg_devices = true;
                break;
        case OPTION_MEMBERS:
                r = parse_limit("--members", optarg, BIG_ROOM_MIN, SCRIPT_USERS_MAX, &arg_members);
                break;
        case OPTION_STOP_AT_FIRST:
                arg_stop_at_first = true;
                break;
        case OPTION_TRACE:
                arg_trace = optarg;
                break;
        case OPTION_PRINT:
                arg_mode = MODE_PRINT;
                break;
        case OPTION_SAME:
                arg_mode = MODE_SAME;
                break;
        case OPTION_SHRINK:
                arg_mode = MODE_SHRINK;
                break;
        case OPTION_MINUTES:
                r = parse_limit("--minutes", optarg, 1, 24 * 60, &arg_minutes);
                break;
        case OPTION_PHRASES:
                script_print_phrases(stdout);
                return 0;
        case OPTION_HELP:
                return print_help();
        default:
                return -EINVAL;
        }
        return r < 0 ? r : 1;
}

static int parse_argv(int argc, char *argv[]) {
        int c, r = 1;

        while (r > 0 && (c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                r = parse_option(c);
        for (; r > 0 && optind < argc; optind++)
                r = add_argument(argv[optind]) < 0 ? -ENOMEM : 1;
        if (r <= 0)
                return r;
        if (arg_n_subjects == 0)
                return complain(-EINVAL, "nothing to do", "expected a seed or a file");
        if (arg_trace && (arg_n_subjects > 1 || arg_mode != MODE_RUN))
                return complain(-EINVAL, "--trace", "expected one seed or file to run");
        return 1;
}

/* 0, 1 when something has failed, or an error that was said. */
static int act(void) {
        int worst = 0;

        if (arg_mode == MODE_RUN)
                return run();
        for (size_t i = 0; i < arg_n_subjects; i++) {
                const Subject *subject = &arg_subjects[i];
                int r = arg_mode == MODE_PRINT  ? run_print(subject)
                        : arg_mode == MODE_SAME ? run_twice(subject)
                                                : run_shrink(subject);

                if (r < 0)
                        return r;
                worst = MAX(worst, r);
        }
        return worst;
}

int main(int argc, char *argv[]) {
        int r;

        arg_command = argv[0];
        r = parse_argv(argc, argv);
        if (r > 0)
                r = act();
        free(arg_subjects);
        return r < 0 ? 2 : r;
}
