// The state store: what was told durable is there after any crash; what can't be trusted is refused.
#include "clusterd/store/store.hpp"

#include "clusterd/store/record.hpp"
#include "tests/unit/quorum/queue_loop.hpp"
#include "tests/unit/quorum/support.hpp"

#include "clusterd/wire/decision.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <sys/mount.h>
#include <sys/stat.h>

using namespace clusterd;
using namespace clusterd::test;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

namespace {

struct Store : testing::Test {
    TempDir parent;
    std::string dir = parent / "state";
    QueueLoop loop;
    std::vector<event::Persisted> answers;
    std::function<int(int)> sync;
    std::unique_ptr<StateStore> store;
    std::uint64_t ticket = 0;

    Result<std::unique_ptr<StateStore>> try_open() {
        store.reset();
        StateStore::Options o;
        o.dir = dir;
        o.parse_config = parse;
        o.on_persisted = [this](event::Persisted p) { answers.push_back(std::move(p)); };
        o.lock_patience = Duration{0};
        o.sync = sync;
        return StateStore::open(std::move(o), loop);
    }
    StateStore::Loaded open() {
        auto opened = try_open();
        if (!opened) {
            ADD_FAILURE() << opened.error();
            return {};
        }
        store = std::move(*opened);
        return store->loaded();
    }
    std::string open_error() {
        auto opened = try_open();
        return opened ? "" : opened.error();
    }
    event::Persisted persist(Terms terms, DecisionPtr decision = nullptr) {
        std::size_t const had = answers.size();
        store->persist({++ticket, terms, std::move(decision)});
        EXPECT_TRUE(loop.run_until([&] { return answers.size() > had; }));
        return answers.empty() ? event::Persisted{} : answers.back();
    }
    std::string file(std::string const& name) const { return dir + "/" + name; }
    // The file of the two that holds the newer record.
    std::string newer_terms() const { return newest_sequence("terms.0") > newest_sequence("terms.1") ? "terms.0" : "terms.1"; }
    std::uint64_t newest_sequence(std::string const& name) const {
        auto const found = store::decode_commit(read_bytes(file(name), 0, store::block)).newest;
        return found ? found->sequence : 0;
    }
};

Terms terms(Term highest, Term joined = 0, Term alone = 0) { return {highest, joined, alone}; }

}  // namespace

TEST_F(Store, ANewOneIsEmptyAndPrivate) {
    auto const first = open();
    EXPECT_TRUE(first.created);
    EXPECT_NE(first.id, 0u);
    EXPECT_EQ(first.terms, Terms{});
    EXPECT_EQ(first.decision, nullptr);
    EXPECT_EQ(first.cluster, Uuid{});
    struct stat st {};
    ASSERT_EQ(::stat(dir.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777u, 0700u);
    auto const again = open();
    EXPECT_FALSE(again.created);
    EXPECT_EQ(again.id, first.id);
    EXPECT_TRUE(again.warnings.empty());
}

TEST_F(Store, WhatWasPersistedIsLoaded) {
    open();
    auto const d = decision_of({7, 2}, config_of("<cluster name='shop'/>"), "moved");
    auto const done = persist(terms(9, 7, 5), d);
    EXPECT_TRUE(done.ok) << done.error;
    EXPECT_EQ(done.ticket, 1u);
    auto loaded = open();
    EXPECT_EQ(loaded.terms, terms(9, 7, 5));
    ASSERT_TRUE(loaded.decision);
    EXPECT_EQ(loaded.decision->id, d->id);
    EXPECT_EQ(loaded.decision->groups, d->groups);
    EXPECT_EQ(loaded.decision->config->xml, d->config->xml);
    EXPECT_EQ(loaded.cluster, d->cluster);
    EXPECT_TRUE(persist(terms(10, 7, 5)).ok);
    loaded = open();
    EXPECT_EQ(loaded.terms, terms(10, 7, 5));
    EXPECT_EQ(loaded.decision->id, d->id) << "terms alone keep the decision";
}

TEST_F(Store, ManyInTurnAndEachStart) {
    for (std::uint64_t i = 1; i <= 30; ++i) {
        auto const loaded = open();
        EXPECT_EQ(loaded.terms.highest, i - 1);
        EXPECT_EQ(id_of(loaded.decision).index, (i - 1) / 2 * 2);
        bool const with = i % 2 == 0;
        ASSERT_TRUE(persist(terms(i), with ? decision_of({3, i}, config_of("<c n='" + std::to_string(i / 4) + "'/>")) : nullptr).ok);
    }
}

TEST_F(Store, ATermsOnlyChangeCostsOneSync) {
    std::atomic<int> syncs{0};
    sync = [&syncs](int fd) { return ++syncs, ::fdatasync(fd); };
    open();
    syncs = 0;
    persist(terms(1));
    EXPECT_EQ(syncs, 1);
    EXPECT_GT(store->sync_latency().count, 0u);
}

TEST_F(Store, SeveralThatWaitAreWrittenAsOneAndAllAnswered) {
    std::mutex mutex;
    std::condition_variable wake;
    bool blocked = false;
    int syncs = 0, in_sync = 0;
    sync = [&](int fd) {
        std::unique_lock lock(mutex);
        ++syncs, ++in_sync;
        wake.notify_all();
        wake.wait(lock, [&] { return !blocked; });
        return ::fdatasync(fd);
    };
    open();
    {
        std::lock_guard const lock(mutex);
        blocked = true;
        syncs = in_sync = 0;
    }
    store->persist({1, terms(1), nullptr});
    {
        std::unique_lock lock(mutex);
        ASSERT_TRUE(wake.wait_for(lock, std::chrono::seconds(30), [&] { return in_sync == 1; }));
    }
    EXPECT_TRUE(store->in_flight().has_value()) << "a sync that hangs is seen";
    auto const d = decision_of({3, 1}, config_of("<c/>"));
    store->persist({2, terms(2), d});
    store->persist({3, terms(3), nullptr});
    store->persist({4, terms(4), nullptr});
    {
        std::lock_guard const lock(mutex);
        blocked = false;
        wake.notify_all();
    }
    ASSERT_TRUE(loop.run_until([&] { return answers.size() == 4; }));
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_TRUE(answers[i].ok) << answers[i].error;
        EXPECT_EQ(answers[i].ticket, i + 1);
    }
    EXPECT_LE(syncs, 1 + 3) << "the first; then configuration, decision and terms once";
    auto const loaded = open();
    EXPECT_EQ(loaded.terms, terms(4));
    EXPECT_EQ(id_of(loaded.decision), d->id);
}

TEST_F(Store, DestroyedWhileASyncHangsItEndsAtOnce) {
    struct Gate {
        std::mutex mutex;
        std::condition_variable wake;
        bool closed = false;
        int in = 0;
    };
    auto const gate = std::make_shared<Gate>();
    sync = [gate](int fd) {
        std::unique_lock lock(gate->mutex);
        ++gate->in;
        gate->wake.notify_all();
        gate->wake.wait(lock, [&] { return !gate->closed; });
        return ::fdatasync(fd);
    };
    open();
    {
        std::lock_guard const lock(gate->mutex);
        gate->closed = true;
        gate->in = 0;
    }
    store->persist({1, terms(5), nullptr});
    {
        std::unique_lock lock(gate->mutex);
        ASSERT_TRUE(gate->wake.wait_for(lock, std::chrono::seconds(30), [&] { return gate->in == 1; }));
    }
    auto const began = std::chrono::steady_clock::now();
    store.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
    sync = nullptr;
    EXPECT_THAT(open_error(), HasSubstr("another clusterd")) << "its write may still come";
    {
        std::lock_guard const lock(gate->mutex);
        gate->closed = false;
        gate->wake.notify_all();
    }
    EXPECT_TRUE(loop.run_until([&] { return open_error().empty(); }));
    EXPECT_TRUE(answers.empty()) << "nobody is told any more";
}

TEST_F(Store, ASecondDaemonIsRefused) {
    open();
    auto const keep = std::move(store);
    EXPECT_THAT(open_error(), testing::AllOf(HasSubstr("another clusterd"), HasSubstr(std::to_string(::getpid())), HasSubstr("--state-dir")));
}

TEST_F(Store, ATornWriteOfTermsLeavesTheStateBeforeOrAfter) {
    sync = [](int) { return 0; };
    open();
    auto const d = decision_of({3, 1}, config_of("<c/>"));
    ASSERT_TRUE(persist(terms(5), d).ok);
    store.reset();
    std::string const target = newer_terms() == "terms.0" ? "terms.1" : "terms.0";
    std::string const before = read_bytes(file(target), 0, store::block);
    auto next = *store::decode_commit(read_bytes(file(newer_terms()), 0, store::block)).newest;
    ++next.sequence;
    next.terms.highest = 6;
    std::string const after = store::encode_commit(next);
    std::string const other = newer_terms();
    std::string const other_bytes = read_bytes(file(other), 0, store::block);
    for (int mask = 0; mask < 256; ++mask) {  // any of the eight sectors may have reached the disk
        std::string torn = before;
        for (std::size_t s = 0; s < 8; ++s)
            if ((mask >> s & 1) != 0) torn.replace(s * store::sector, store::sector, after, s * store::sector, store::sector);
        write_bytes(file(target), 0, torn);
        write_bytes(file(other), 0, other_bytes);
        auto const loaded = open();
        EXPECT_EQ(loaded.terms.highest, mask == 0 ? 5u : 6u) << mask;
        EXPECT_EQ(id_of(loaded.decision), d->id);
        EXPECT_EQ(loaded.warnings.empty(), mask == 0 || mask == 255);
        if (mask % 32 == 0) {
            EXPECT_TRUE(persist(terms(8), decision_of({3, 2}, config_of("<c/>"))).ok);
            EXPECT_EQ(open().terms.highest, 8u);
            write_bytes(file("decision.0"), 0, store::encode_decision_file(encode_decision(*d)));
        }
        store.reset();
    }
}

TEST_F(Store, EverySingleDamagedByteIsRepairedOrRefusedNeverTaken) {
    sync = [](int) { return 0; };  // many starts; nothing here depends on it
    open();
    ASSERT_TRUE(persist(terms(5, 3, 1), decision_of({3, 1}, config_of("<c/>"))).ok);
    ASSERT_TRUE(persist(terms(6, 3, 1), decision_of({3, 2}, config_of("<c/>"))).ok);
    store.reset();
    std::string const config = "config-" + to_hex(hash_config("<c/>")) + ".xml";
    std::size_t const decision_bytes = store::decision_header_bytes + encode_decision(*decision_of({3, 2}, config_of("<c/>"))).size();
    std::string const named = "decision." + std::to_string(store::decode_commit(read_bytes(file(newer_terms()), 0, store::block)).newest->copy);
    std::map<std::string, std::string> good;
    for (std::string const name : {"store", "terms.0", "terms.1"}) good[name] = read_bytes(file(name), 0, store::block);
    for (std::string const name : {"decision.0", "decision.1"}) good[name] = read_bytes(file(name), 0, decision_bytes);
    good[config] = "<c/>";
    for (auto const& [name, bytes] : good)
        for (std::size_t i = 0; i < bytes.size(); i += bytes.size() > 1000 ? 97 : bytes.size() > 4 ? 7 : 1) {
            flip_byte(file(name), i);
            // The newest decision and its configuration have no second copy; all else has, or doesn't count.
            bool const lost = name == config || (name == named && i >= store::decision_header_bytes);
            auto opened = try_open();
            EXPECT_FALSE(lost && opened) << name << " " << i;
            if (opened) {
                EXPECT_EQ((*opened)->loaded().terms, terms(6, 3, 1)) << name << " " << i;
                EXPECT_EQ(id_of((*opened)->loaded().decision), (DecisionId{3, 2})) << name << " " << i;
                (*opened).reset();
            } else {
                EXPECT_THAT(opened.error(), HasSubstr(name)) << i;
            }
            for (auto const& [n, b] : good) write_bytes(file(n), 0, b);
        }
}

TEST_F(Store, OneThatIsDamagedAllOverIsRefused) {
    open();
    ASSERT_TRUE(persist(terms(5)).ok);
    store.reset();
    std::string const newest = newer_terms();
    std::string const good = read_bytes(file(newest), 0, store::block);
    for (std::string const& bad : {std::string(store::block, '\0'), std::string(store::block, 'x')}) {
        write_bytes(file(newest), 0, bad);
        EXPECT_THAT(open_error(), testing::AllOf(HasSubstr(newest), HasSubstr("the start is refused"), HasSubstr("empty " + dir)));
    }
    std::string const older = newest == "terms.0" ? "terms.1" : "terms.0";
    write_bytes(file(older), 0, std::string(store::block, 'x'));
    EXPECT_THAT(open_error(), HasSubstr("the start is refused")) << "both";
    write_bytes(file(newest), 0, good);
    EXPECT_THAT(open_error(), HasSubstr(older)) << "the bad one may have been the newer";
    std::filesystem::remove(file(older));
    EXPECT_THAT(open_error(), HasSubstr(older));
}

TEST_F(Store, AMissingIdentityIsRefusedWhereThereIsState) {
    open();
    ASSERT_TRUE(persist(terms(5)).ok);
    store.reset();
    std::filesystem::remove(file("store"));
    EXPECT_THAT(open_error(), HasSubstr("is missing"));
    for (auto const& name : {"terms.0", "terms.1", "decision.0", "decision.1"}) std::filesystem::remove(file(name));
    EXPECT_TRUE(open().created) << "emptied: a blank store";
}

// After a downgrade: the state is whole, and the last thing to do is to empty it.
TEST_F(Store, WhatALaterVersionWroteIsRefusedAndNobodyIsToldToEmptyIt) {
    open();
    ASSERT_TRUE(persist(terms(5), decision_of({5, 1}, config_of("<c/>"))).ok);
    store.reset();
    auto const of_version_2 = [this](std::string const& name) {
        std::string bytes = read_bytes(file(name), 0, store::block);
        for (std::size_t at = 0; at + store::sector <= bytes.size(); at += store::sector) {
            std::string one = bytes.substr(at, store::sector - 32);
            one[8] = 2;
            Hash const sum = store::hash_of(one);
            one.append(reinterpret_cast<char const*>(sum.data()), sum.size());
            bytes.replace(at, store::sector, one);
        }
        write_bytes(file(name), 0, bytes);
    };
    auto const refused = [&](std::string const& name) {
        EXPECT_THAT(open_error(), AllOf(HasSubstr(name), HasSubstr("version 2"), HasSubstr("install the clusterd that wrote it"), Not(HasSubstr("empty"))));
    };
    of_version_2("terms.1");
    refused("terms.1");
    std::filesystem::rename(file("store"), parent / "kept");
    refused("terms.1");
    std::filesystem::rename(parent / "kept", file("store"));
    of_version_2("store");
    refused("store");
}

TEST_F(Store, ACreationThatWasCutShortIsDoneAgain) {
    open();
    store.reset();
    std::filesystem::remove(file("store"));
    std::filesystem::remove(file("decision.1"));
    for (auto const& name : {"terms.0", "terms.1"}) {  // as create() leaves them
        store::Commit first;
        first.sequence = name == std::string("terms.0") ? 1 : 2;
        write_bytes(file(name), 0, store::encode_commit(first));
    }
    std::ofstream(file("terms.0.tmp")) << "half";
    EXPECT_TRUE(open().created);
    EXPECT_FALSE(std::filesystem::exists(file("terms.0.tmp")));
    EXPECT_TRUE(persist(terms(1)).ok);
}

TEST_F(Store, AnErrorIsToldAndTheNextPersistIsCleanAgain) {
    std::atomic<int> fail{0};
    sync = [&fail](int fd) {
        if (fail > 0) {
            --fail;
            errno = EIO;
            return -1;
        }
        return ::fdatasync(fd);
    };
    open();
    auto const first = decision_of({3, 1}, config_of("<one/>"));
    ASSERT_TRUE(persist(terms(3), first).ok);
    for (int failing = 1; failing <= 4; ++failing) {  // configuration, decision, terms, ...
        for (int at = 0; at < failing; ++at) {
            fail = 1;
            auto const id = DecisionId{5, static_cast<std::uint64_t>(failing * 10 + at)};
            auto const failed = persist(terms(5), decision_of(id, config_of("<c n='" + std::to_string(failing * 10 + at) + "'/>")));
            EXPECT_FALSE(failed.ok);
            EXPECT_THAT(failed.error, HasSubstr("Input/output error"));
            EXPECT_NE(store->last_error(), "");
        }
        fail = 0;
        auto const d = decision_of({7, static_cast<std::uint64_t>(failing)}, config_of("<good n='" + std::to_string(failing) + "'/>"));
        ASSERT_TRUE(persist(terms(7), d).ok);
        EXPECT_EQ(store->last_error(), "");
        auto const loaded = open();
        EXPECT_EQ(id_of(loaded.decision), d->id);
        EXPECT_EQ(loaded.decision->config->xml, d->config->xml);
    }
}

// A commit whose sync failed may have reached the disk all the same; the decision that it names must not be overwritten while it
// may be the newest.
TEST_F(Store, AFailedCommitThatArrivedNeverNamesAHalfWrittenDecision) {
    std::atomic<int> syncs{0}, fail_at{-1};
    sync = [&](int fd) {
        int const result = ::fdatasync(fd);
        if (++syncs != fail_at) return result;
        errno = EIO;  // said to have failed, yet there
        return -1;
    };
    open();
    auto const c = config_of("<c/>");
    ASSERT_TRUE(persist(terms(3), decision_of({3, 1}, c)).ok);
    syncs = 0, fail_at = 2;  // decision ok, terms "failed"
    EXPECT_FALSE(persist(terms(5), decision_of({5, 1}, c)).ok);
    syncs = 0, fail_at = 2;  // the old terms again, then the next decision: cut there
    EXPECT_FALSE(persist(terms(7), decision_of({7, 1}, c)).ok);
    fail_at = -1;
    store.reset();
    std::string const torn = file(read_bytes(file("decision.0"), 0, 4096).find(encode_decision(*decision_of({7, 1}, c))) != std::string::npos ? "decision.0" : "decision.1");
    flip_byte(torn, store::decision_header_bytes + 5);
    auto const loaded = open();
    EXPECT_EQ(id_of(loaded.decision), (DecisionId{3, 1})) << "the last that was told durable";
    EXPECT_EQ(loaded.terms, terms(3));
}

TEST_F(Store, OldConfigurationsArePrunedAndThoseInUseKept) {
    open();
    auto const configs = [this] {
        std::set<std::string> names;
        for (auto const& e : std::filesystem::directory_iterator(dir))
            if (e.path().filename().string().rfind("config-", 0) == 0) names.insert(e.path().filename());
        return names;
    };
    for (std::uint64_t i = 1; i <= 25; ++i) ASSERT_TRUE(persist(terms(i), decision_of({3, i}, config_of("<c n='" + std::to_string(i) + "'/>"))).ok);
    EXPECT_GE(configs().size(), 10u);
    EXPECT_LE(configs().size(), 12u);
    EXPECT_EQ(configs().count("config-" + to_hex(hash_config("<c n='25'/>")) + ".xml"), 1u);
    ASSERT_TRUE(persist(terms(26), decision_of({3, 26}, config_of("<c n='1'/>"))).ok) << "one that was pruned comes back";
    EXPECT_EQ(open().decision->config->xml, "<c n='1'/>");
}

TEST_F(Store, AConfigurationThatCannotBeParsedRefusesTheStartAndSaysWhy) {
    open();
    ASSERT_TRUE(persist(terms(3), decision_of({3, 1}, config_of("<unparsable"))).ok);
    EXPECT_THAT(open_error(), HasSubstr("line 1: unparsable"));
}

TEST_F(Store, AFullFilesystemIsAnErrorAndNotTheEnd) {
    dir = parent / "small";
    std::filesystem::create_directory(dir);
    if (::mount("clusterd-test", dir.c_str(), "tmpfs", 0, "size=1m,mode=0700") != 0) GTEST_SKIP() << "SKIPPED: no tmpfs can be mounted here (needs root): ENOSPC is not tested";
    struct Unmount {
        std::string const& dir;
        std::unique_ptr<StateStore>& store;
        ~Unmount() {
            store.reset();
            ::umount2(dir.c_str(), MNT_DETACH);
        }
    } const unmount{dir, store};
    open();
    ASSERT_TRUE(persist(terms(1), decision_of({1, 1}, config_of("<c/>"))).ok);
    auto const full = persist(terms(3), decision_of({3, 1}, config_of("<c>" + std::string(2u << 20, 'x') + "</c>")));
    EXPECT_FALSE(full.ok);
    EXPECT_THAT(full.error, HasSubstr("No space left"));
    EXPECT_TRUE(persist(terms(3), decision_of({3, 2}, config_of("<c/>"))).ok) << "what has its room already goes on";
    EXPECT_EQ(open().terms, terms(3));
    ASSERT_EQ(::mount(nullptr, dir.c_str(), nullptr, MS_REMOUNT | MS_RDONLY | MS_NOSUID, "size=1m") == 0 || errno == EBUSY, true);
    store.reset();
    if (::mount(nullptr, dir.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, "size=1m") == 0) {
        EXPECT_THAT(open_error(), HasSubstr("Read-only file system"));
        ASSERT_EQ(::mount(nullptr, dir.c_str(), nullptr, MS_REMOUNT, "size=1m"), 0);
    }
    EXPECT_EQ(open().terms, terms(3));
}

TEST_F(Store, ADirectoryThatOthersCanWriteIsRefused) {
    std::filesystem::create_directory(dir);
    std::filesystem::permissions(dir, std::filesystem::perms::all);
    EXPECT_THAT(open_error(), HasSubstr("chmod 700"));
}

TEST_F(Store, OtherSlowWorkRunsOnItsThread) {
    open();
    std::atomic<bool> ran{false};
    store->run([&ran] { ran = true; });
    EXPECT_TRUE(loop.run_until([&] { return ran.load(); }));
}
