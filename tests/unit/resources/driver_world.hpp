// A driver under test: its guard, what it told by itself, and a folder for its files.
#pragma once

#include "resources/clock.hpp"
#include "resources/driver.hpp"
#include "tests/unit/resources/local_guard.hpp"

#include <gtest/gtest.h>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace clusterd {

class DriverWorld {
public:
    DriverWorld() {
        char name[] = "/tmp/driver-test-XXXXXX";
        dir = mkdtemp(name);
    }
    ~DriverWorld() {
        driver.reset();
        std::filesystem::remove_all(dir);
    }
    using Maker = DriverPtr (*)(ResourceSpec const&, DriverContext);
    Driver& make(Maker maker, std::map<std::string, std::string> attributes) {
        ResourceSpec resource;
        resource.name = "web";
        resource.attributes = std::move(attributes);
        driver = maker(resource, {guard, guard.hub, [this](DriverOutcome outcome) {
                                      std::lock_guard lock(mutex);
                                      told.push_back(std::move(outcome));
                                      came.notify_all();
                                  }});
        return *driver;
    }
    // What the driver told without being asked; fails the test where nothing comes.
    DriverOutcome wait_told() {
        std::unique_lock lock(mutex);
        EXPECT_TRUE(came.wait_for(lock, std::chrono::seconds(20), [&] { return !told.empty(); }));
        if (told.empty()) return {};
        DriverOutcome outcome = told.front();
        told.erase(told.begin());
        return outcome;
    }
    bool has_told() {
        std::lock_guard lock(mutex);
        return !told.empty();
    }
    // Whole or not at all: a server may be reading it at this moment.
    void write(std::string const& name, std::string const& text, int mode = 0644) const {
        std::string const path = dir + "/" + name;
        std::ofstream(path + ".new") << text;
        std::filesystem::permissions(path + ".new", static_cast<std::filesystem::perms>(mode));
        std::filesystem::rename(path + ".new", path);
    }
    std::string read(std::string const& name) const {
        std::ifstream file(dir + "/" + name);
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    }
    bool wait_for_file(std::string const& name) const {
        for (int i = 0; i < 20000; ++i) {
            if (std::filesystem::exists(dir + "/" + name)) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return false;
    }

    std::string dir;
    LocalGuard guard;
    std::mutex mutex;
    std::condition_variable came;
    std::vector<DriverOutcome> told;
    DriverPtr driver;  // ends first
};

inline Instant in(Duration d) {
    return boot_now() + d;
}
using namespace std::chrono_literals;

}  // namespace clusterd
