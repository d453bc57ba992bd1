// Sealed heartbeats, and the key they are sealed with.
#include "clusterd/wire/heartbeat.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fstream>
#include <set>

namespace clusterd {
namespace {

Heartbeat full_heartbeat() {
    Heartbeat h;
    h.from = NodeIndex::b;
    h.incarnation = 0x1122334455667788;
    h.sent = Instant{123456789012};
    h.role = Role::joined;
    h.highest = 8;
    h.own = 6;
    h.echo = {77, Instant{-5}};
    h.greeting = {78, long_ago};
    h.offer = {10, 79};
    h.newest = {6, 1234};
    h.store = 0xfedcba9876543210;
    h.store_listed = true;
    h.disk_fresh = true;
    h.cluster[0] = 1;
    h.cluster[15] = 2;
    h.fitness = {3, 4};
    h.scheduling_delay_us = 5;
    h.disk_latency_us = 6;
    h.networks = 0x80000001;
    return h;
}

Key key_of(std::uint8_t seed) {
    Key key;
    key.bytes.fill(seed);
    return key;
}

ClusterTag const cluster = cluster_tag("shop");

TEST(Heartbeat, ComesBackAsItWasSealed) {
    Heartbeat const h = full_heartbeat();
    std::string const packet = seal_heartbeat(h, cluster, 3, 99, key_of(1));
    EXPECT_LE(packet.size(), max_heartbeat_packet);
    auto const opened = open_heartbeat(packet, key_of(1));
    ASSERT_TRUE(opened) << opened.error();
    EXPECT_EQ(*opened, h);
    auto const header = read_heartbeat_header(packet);
    ASSERT_TRUE(header) << header.error();
    EXPECT_EQ(*header, (HeartbeatHeader{cluster, NodeIndex::b, 3, h.incarnation, 99}));
    Heartbeat const empty;
    auto const opened_empty = open_heartbeat(seal_heartbeat(empty, cluster, 0, 0, key_of(1)), key_of(1));
    ASSERT_TRUE(opened_empty);
    EXPECT_EQ(*opened_empty, empty);
}

TEST(Heartbeat, EveryChangedBitIsRefused) {
    std::string const packet = seal_heartbeat(full_heartbeat(), cluster, 0, 1, key_of(1));
    for (std::size_t i = 0; i < packet.size(); ++i) {
        for (int bit = 0; bit < 8; ++bit) {
            std::string changed = packet;
            changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
            EXPECT_FALSE(open_heartbeat(changed, key_of(1))) << "byte " << i << " bit " << bit;
        }
    }
}

TEST(Heartbeat, EveryOtherLengthIsRefused) {
    std::string const packet = seal_heartbeat(full_heartbeat(), cluster, 0, 1, key_of(1));
    for (std::size_t n = 0; n < packet.size(); ++n) EXPECT_FALSE(open_heartbeat(packet.substr(0, n), key_of(1))) << n;
    EXPECT_FALSE(open_heartbeat(packet + '\0', key_of(1)));
    EXPECT_FALSE(open_heartbeat(packet + packet, key_of(1)));
}

TEST(Heartbeat, AnotherKeyDoesNotOpenIt) {
    std::string const packet = seal_heartbeat(full_heartbeat(), cluster, 0, 1, key_of(1));
    auto const opened = open_heartbeat(packet, key_of(2));
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().find("same key file"), std::string::npos);
}

TEST(Heartbeat, TheSameTwiceLooksDifferent) {
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) seen.insert(seal_heartbeat(full_heartbeat(), cluster, 0, 1, key_of(1)));
    EXPECT_EQ(seen.size(), 100U);
}

TEST(Key, EachPurposeHasItsOwn) {
    Key const key = key_of(7);
    EXPECT_NE(subkey(key, Purpose::heartbeat), subkey(key, Purpose::sync));
    EXPECT_NE(subkey(key, Purpose::heartbeat), subkey(key, Purpose::quorum_disk));
    EXPECT_NE(subkey(key, Purpose::heartbeat), key);
    EXPECT_EQ(subkey(key, Purpose::sync), subkey(key, Purpose::sync));
    EXPECT_NE(subkey(key, Purpose::sync), subkey(key_of(8), Purpose::sync));
}

class KeyFile : public testing::Test {
protected:
    void SetUp() override {
        std::string name = testing::TempDir() + "keyXXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        directory = name;
        path = directory + "/key";
    }
    void TearDown() override {
        ::unlink(path.c_str());
        ::rmdir(directory.c_str());
    }
    void write(std::string const& text, mode_t mode = 0600) {
        std::ofstream(path) << text;
        ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    }
    std::string refusal() {
        auto const key = load_key(path);
        return key ? "it was taken" : key.error();
    }
    std::string directory, path;
};

TEST_F(KeyFile, WhatIsWrittenCanBeLoaded) {
    mode_t const before = ::umask(0777);
    auto const written = write_key(path);
    ::umask(before);
    ASSERT_TRUE(written) << written.error();
    struct stat s {};
    ASSERT_EQ(::stat(path.c_str(), &s), 0);
    EXPECT_EQ(s.st_mode & 07777, 0600U);
    auto const key = load_key(path);
    ASSERT_TRUE(key) << key.error();
    EXPECT_NE(*key, Key{});
    EXPECT_EQ(*key, *load_key(path));
}

TEST_F(KeyFile, AnExistingOneIsLeftAlone) {
    ASSERT_TRUE(write_key(path));
    auto const key = load_key(path);
    auto const again = write_key(path);
    ASSERT_FALSE(again);
    EXPECT_NE(again.error().find("exists already"), std::string::npos);
    EXPECT_EQ(*load_key(path), *key);
}

TEST_F(KeyFile, MissingSaysHowToMakeOne) {
    EXPECT_NE(refusal().find("clusterctl key new " + path), std::string::npos) << refusal();
}

TEST_F(KeyFile, OneThatOthersCanUseIsRefused) {
    for (mode_t const mode : {0640, 0604, 0620, 0602, 0610, 0666}) {
        write(std::string(64, 'a') + "\n", mode);
        EXPECT_NE(refusal().find("chmod 0600 " + path), std::string::npos) << std::oct << mode << ": " << refusal();
    }
    write(std::string(64, 'a') + "\n", 0400);
    EXPECT_TRUE(load_key(path));
}

TEST_F(KeyFile, OneOfAnotherUserIsRefused) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
    write(std::string(64, 'a') + "\n");
    ASSERT_EQ(::chown(path.c_str(), 12345, 0), 0);
    EXPECT_NE(refusal().find("chown root"), std::string::npos) << refusal();
}

TEST_F(KeyFile, AnythingButAKeyIsRefused) {
    for (std::string const& text : {std::string(), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'g'),
                                    std::string(32, '\1'), std::string(64, 'a') + "\nx", std::string(100000, 'a')}) {
        write(text);
        EXPECT_NE(refusal().find("64 hex characters"), std::string::npos) << text.size();
    }
    ::unlink(path.c_str());
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_NE(refusal().find("not a regular file"), std::string::npos) << refusal();
}

}  // namespace
}  // namespace clusterd
