// The memory that guard and worker share: whole states only, whatever moment a worker dies at.
#include "clusterd/guard/shared.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <csignal>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace clusterd::guard {
namespace {

struct SharedMemory : testing::Test {
    int fd = make_shared_memory();
    Shared* shared = map_shared_memory(fd, true);
    ~SharedMemory() override {
        munmap(shared, sizeof *shared);
        close(fd);
    }
    std::string state() const {
        char buffer[Shared::resume_max];
        return {buffer, shared->read_resume(buffer, sizeof buffer)};
    }
    bool write(std::string const& text) { return shared->write_resume(text.data(), text.size()); }
};

TEST(Crc32c, IsTheKnownOne) {
    EXPECT_EQ(crc32c("123456789", 9), 0xE3069283u);
    EXPECT_EQ(crc32c("6789", 4, crc32c("12345", 5)), 0xE3069283u);
}

TEST_F(SharedMemory, IsEmptyAtFirstAndKeepsTheNewestState) {
    ASSERT_TRUE(shared);
    EXPECT_EQ(state(), "");
    EXPECT_FALSE(shared->permit_holds(1));
    EXPECT_EQ(shared->kill_ns.load(), 250'000'000);
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(write("state " + std::to_string(i)));
        EXPECT_EQ(state(), "state " + std::to_string(i));
    }
    EXPECT_TRUE(write(std::string(Shared::resume_max, 'x')));
    EXPECT_EQ(state().size(), Shared::resume_max);
    EXPECT_FALSE(write(std::string(Shared::resume_max + 1, 'x')));
    char small[8];
    EXPECT_EQ(shared->read_resume(small, sizeof small), 0u) << "rather nothing than a part";
}

TEST_F(SharedMemory, ADamagedCopyIsNotRead) {
    write("old");
    write("new");
    ASSERT_EQ(state(), "new");
    auto& newest = std::memcmp(shared->resume[0].bytes, "new", 3) == 0 ? shared->resume[0] : shared->resume[1];
    newest.bytes[1] = '?';
    EXPECT_EQ(state(), "old");
    newest.bytes[1] = 'e';
    EXPECT_EQ(state(), "new");
    newest.sequence.fetch_add(2);
    EXPECT_EQ(state(), "old") << "the sequence is covered, too";
    newest.sequence.fetch_sub(2);
    EXPECT_EQ(state(), "new");
    for (auto& copy : shared->resume) copy.size = 1u << 30;  // as far from the truth as it can be
    EXPECT_EQ(state(), "");
    EXPECT_TRUE(write("again"));
    EXPECT_EQ(state(), "again");
}

// A writer killed at any moment leaves the state before or the one it wrote, whole.
TEST_F(SharedMemory, AWriterThatIsKilledLeavesAWholeState) {
    std::mt19937 random(11);
    for (int round = 0; round < 60; ++round) {
        pid_t const writer = fork();
        if (writer == 0) {
            for (unsigned i = 0;; ++i) {
                std::string const text(1 + i % Shared::resume_max, static_cast<char>('a' + i % 26));
                shared->write_resume(text.data(), text.size());
            }
        }
        usleep(static_cast<useconds_t>(200 + random() % 2000));
        kill(writer, SIGKILL);
        waitpid(writer, nullptr, 0);
        std::string const found = state();
        if (found.empty()) {
            EXPECT_EQ(shared->resume[0].sequence.load() + shared->resume[1].sequence.load(), 0u)
                << "only before the very first write";
            continue;
        }
        std::size_t const length = found.size();
        EXPECT_EQ(found, std::string(length, found[0]));
        bool possible = false;
        for (unsigned i = static_cast<unsigned>(length) - 1; i < 1u << 27 && !possible; i += Shared::resume_max)
            possible = static_cast<char>('a' + i % 26) == found[0];
        EXPECT_TRUE(possible) << length << found[0];
    }
}

TEST_F(SharedMemory, RefusesOtherMemory) {
    int const other = memfd_create("other", MFD_CLOEXEC);
    EXPECT_EQ(map_shared_memory(other), nullptr) << "too small";
    ASSERT_EQ(ftruncate(other, sizeof(Shared)), 0);
    EXPECT_EQ(map_shared_memory(other), nullptr) << "of another version, or something else";
    close(other);
    EXPECT_EQ(map_shared_memory(-1), nullptr);
    EXPECT_NE(ftruncate(fd, 1), 0) << "it can't be made smaller under the one who reads it";
}

TEST_F(SharedMemory, APermitHoldsUntilItsEnd) {
    shared->permit_end_ns = 1000;
    EXPECT_TRUE(shared->permit_holds(999));
    EXPECT_FALSE(shared->permit_holds(1000));
    shared->permit_end_ns = -5;
    EXPECT_FALSE(shared->permit_holds(-10));
}

}  // namespace
}  // namespace clusterd::guard
