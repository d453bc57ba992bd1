// The driver file-share with NFS servers of the test's own: an nfs-ganesha as far as the driver asks one, on a real message bus; and exportfs as a
// script, which keeps its etab. The real nfs-ganesha is met in containers (tests/system/fileserver.py); a kernel with an NFS server isn't.
#include "tests/unit/resources/driver_world.hpp"

#include "resources/file_share.hpp"

#include <gmock/gmock.h>
#include <systemd/sd-bus.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

namespace clusterd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FakeGanesha {
public:
    explicit FakeGanesha(std::string const& address) : address_(address), wake_(eventfd(0, EFD_CLOEXEC)) { start(); }
    ~FakeGanesha() {
        stop();
        close(wake_);
    }
    void start() {
        thread_ = std::thread([this] { run(); });
        std::unique_lock lock(mutex);
        if (!came_.wait_for(lock, std::chrono::seconds(60), [this] { return up_; })) throw std::runtime_error("no bus for the fake nfs-ganesha");
    }
    void stop() {
        if (!thread_.joinable()) return;
        std::uint64_t const one = 1;
        [[maybe_unused]] ssize_t const n = write(wake_, &one, sizeof one);
        thread_.join();
        std::lock_guard lock(mutex);
        up_ = false;
        exports.clear();
    }

    std::mutex mutex;
    std::map<int, std::string> exports;  // id -> path
    std::vector<std::string> calls;
    std::string path_of_next = "/tmp", refuses;

private:
    void run() {
        char const* name = nullptr;
        sd_bus* bus = nullptr;
        int r = -1;
        for (int tries = 0; r < 0 && tries < 400; ++tries) {  // the bus's socket is there a moment before it is listened to
            if (tries > 0) usleep(50'000);
            sd_bus_close_unref(bus);
            sd_bus_new(&bus);
            sd_bus_set_address(bus, address_.c_str());
            sd_bus_set_bus_client(bus, 1);
            r = sd_bus_start(bus);
            if (r >= 0) r = sd_bus_get_unique_name(bus, &name);
        }
        sd_bus_add_object(bus, nullptr, "/org/ganesha/nfsd/ExportMgr", on_call, this);
        sd_bus_add_object(bus, nullptr, "/org/ganesha/nfsd/admin", on_call, this);
        r = sd_bus_request_name(bus, "org.ganesha.nfsd", 0);
        {
            std::lock_guard lock(mutex);
            up_ = r >= 0;
            came_.notify_all();
        }
        for (;;) {
            while (sd_bus_process(bus, nullptr) > 0) {}
            pollfd fds[] = {{sd_bus_get_fd(bus), static_cast<short>(sd_bus_get_events(bus)), 0}, {wake_, POLLIN, 0}};
            poll(fds, 2, -1);
            if (fds[1].revents) break;
        }
        std::uint64_t times;
        [[maybe_unused]] ssize_t const n = read(wake_, &times, sizeof times);
        sd_bus_flush_close_unref(bus);
    }
    static int on_call(sd_bus_message* m, void* self, sd_bus_error* error) { return static_cast<FakeGanesha*>(self)->answer(m, error); }
    int answer(sd_bus_message* m, sd_bus_error* error) {
        std::lock_guard lock(mutex);
        std::string const member = sd_bus_message_get_member(m);
        if (member != "ShowExports" && member != "DisplayExport") calls.push_back(member);
        std::uint16_t id = 0;
        if (member == "ShowExports") return show(m);
        if (member == "DisplayExport") {
            sd_bus_message_read(m, "q", &id);
            return exports.contains(id) ? sd_bus_reply_method_return(m, "qsssa(siyyiuuuuu)", id, exports[id].c_str(), "/media", "", 0)
                                        : sd_bus_error_set(error, "org.freedesktop.DBus.Error.InvalidArgs", "Export id not found");
        }
        if (member == "RemoveExport") {
            sd_bus_message_read(m, "q", &id);
            exports.erase(id);
            return sd_bus_reply_method_return(m, nullptr);
        }
        if (member == "AddExport") {
            char const *file = nullptr, *which = nullptr;
            sd_bus_message_read(m, "ss", &file, &which);
            if (!refuses.empty()) return sd_bus_error_set(error, "org.freedesktop.DBus.Error.InvalidFileContent", refuses.c_str());
            calls.back() += std::string(" ") + which + (std::filesystem::exists(file) ? "" : " of no file");
            exports[77] = path_of_next;
            return sd_bus_reply_method_return(m, "s", "1 exports added");
        }
        char const* event = nullptr;
        sd_bus_message_read(m, "s", &event);
        calls.back() += std::string(" ") + event;
        return sd_bus_reply_method_return(m, "bs", 1, "Started grace period");
    }
    int show(sd_bus_message* m) {  // with fewer protocols than the real one: what follows the path isn't looked at
        sd_bus_message* reply = nullptr;
        sd_bus_message_new_method_return(m, &reply);
        sd_bus_message_append(reply, "(tt)", std::uint64_t{1}, std::uint64_t{2});
        sd_bus_message_open_container(reply, 'a', "(qs((sb)(sb))(tt))");
        sd_bus_message_append(reply, "(qs((sb)(sb))(tt))", 0, "/", "NFSv3", 0, "9P", 0, std::uint64_t{0}, std::uint64_t{0});
        for (auto const& [id, path] : exports)
            sd_bus_message_append(reply, "(qs((sb)(sb))(tt))", id, path.c_str(), "NFSv3", 0, "9P", 0, std::uint64_t{0}, std::uint64_t{0});
        sd_bus_message_close_container(reply);
        int const r = sd_bus_send(nullptr, reply, nullptr);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
    }

    std::string const address_;
    int const wake_;
    bool up_ = false;
    std::condition_variable came_;
    std::thread thread_;
};

class GaneshaExports : public testing::Test {
protected:
    void SetUp() override {
        if (std::system("command -v dbus-daemon >/dev/null") != 0) GTEST_SKIP() << "dbus-daemon is needed";
        address_ = "unix:path=" + world_.dir + "/bus";
        world_.write("bus.conf", "<busconfig><type>session</type><listen>" + address_ + "</listen><auth>EXTERNAL</auth><policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>"
                                 "<allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>");
        daemon_ = fork();
        if (daemon_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            execlp("dbus-daemon", "dbus-daemon", "--nofork", "--nopidfile", ("--config-file=" + world_.dir + "/bus.conf").c_str(), nullptr);
            _exit(127);
        }
        ASSERT_TRUE(world_.wait_for_file("bus"));
        setenv("CLUSTERD_GANESHA_ADDRESS", address_.c_str(), 1);
        setenv("CLUSTERD_EXPORTS_DIRECTORY", (world_.dir + "/exports").c_str(), 1);
        std::filesystem::create_directory(world_.dir + "/media");
        ganesha_ = std::make_unique<FakeGanesha>(address_);
        ganesha_->path_of_next = world_.dir + "/media";
    }
    void TearDown() override {
        world_.driver.reset();
        ganesha_.reset();
        if (daemon_ > 0) {
            kill(daemon_, SIGKILL);
            waitpid(daemon_, nullptr, 0);
        }
        unsetenv("CLUSTERD_GANESHA_ADDRESS");
        unsetenv("CLUSTERD_EXPORTS_DIRECTORY");
    }
    Driver& make(std::map<std::string, std::string> more = {}) {
        std::map<std::string, std::string> all{{"protocol", "nfs"}, {"share", "media"}, {"path", world_.dir + "/media"}, {"server", "ganesha"}, {"export-id", "77"}};
        for (auto const& [name, value] : more) all[name] = value;
        return world_.make(make_file_share_driver, all);
    }
    std::vector<std::string> calls() {
        std::lock_guard lock(ganesha_->mutex);
        return std::exchange(ganesha_->calls, {});
    }

    DriverWorld world_;
    std::string address_;
    pid_t daemon_ = -1;
    std::unique_ptr<FakeGanesha> ganesha_;
};

TEST_F(GaneshaExports, ComeGoAndAreFoundAgain) {
    Driver& driver = make();
    EXPECT_EQ(driver.probe(in(20s)).state, ResourceState::offline);
    DriverOutcome const started = driver.start(in(20s));
    ASSERT_EQ(started.state, ResourceState::online) << started.message;
    EXPECT_THAT(calls(), ElementsAre("AddExport EXPORT(Export_Id=77)"));
    EXPECT_THAT(world_.read("exports/web.conf"), HasSubstr("Pseudo = \"/media\""));
    EXPECT_EQ(make().probe(in(20s)).state, ResourceState::online);
    EXPECT_EQ(world_.driver->start(in(20s)).state, ResourceState::online);  // with what the configuration says now
    EXPECT_THAT(calls(), ElementsAre("RemoveExport", "AddExport EXPORT(Export_Id=77)"));
    EXPECT_EQ(world_.driver->stop(in(20s)).state, ResourceState::offline);
    EXPECT_THAT(calls(), ElementsAre("RemoveExport"));
    EXPECT_FALSE(std::filesystem::exists(world_.dir + "/exports/web.conf"));
    EXPECT_EQ(world_.driver->kill(in(20s)).state, ResourceState::offline);
    EXPECT_THAT(calls(), ElementsAre());
    EXPECT_FALSE(world_.has_told());
}

TEST_F(GaneshaExports, AGracePeriodBeginsBeforeTheExport) {
    EXPECT_EQ(make({{"grace", "yes"}}).start(in(20s)).state, ResourceState::online);
    EXPECT_THAT(calls(), ElementsAre("grace 3:web", "AddExport EXPORT(Export_Id=77)"));
}

TEST_F(GaneshaExports, WhatCantBeAddedSaysWhy) {
    {
        std::lock_guard lock(ganesha_->mutex);
        ganesha_->exports[77] = "/elsewhere";
    }
    DriverOutcome seen = make().start(in(20s));
    EXPECT_EQ(seen.state, ResourceState::failed);
    EXPECT_FALSE(seen.restart_here);
    EXPECT_THAT(seen.message, HasSubstr("has an export 77 of its own on this node (/elsewhere)"));
    EXPECT_EQ(world_.driver->stop(in(20s)).state, ResourceState::offline);  // and leaves it alone
    EXPECT_THAT(calls(), ElementsAre());
    {
        std::lock_guard lock(ganesha_->mutex);
        ganesha_->exports.clear();
        ganesha_->refuses = "0 export entries added\nDetails\n";
    }
    seen = make().start(in(20s));
    EXPECT_EQ(seen.state, ResourceState::failed);
    EXPECT_THAT(seen.message, HasSubstr("nfs-ganesha doesn't add it: 0 export entries added; Details; see its log"));
    EXPECT_THAT(make({{"path", world_.dir + "/none"}}).start(in(20s)).message, HasSubstr("isn't there"));
    ganesha_->stop();
    seen = make().start(in(20s));
    EXPECT_EQ(seen.state, ResourceState::failed);
    EXPECT_FALSE(seen.restart_here);
    EXPECT_THAT(seen.message, HasSubstr("systemctl start nfs-ganesha"));
    EXPECT_EQ(world_.driver->stop(in(20s)).state, ResourceState::offline);
    EXPECT_EQ(world_.driver->probe(in(20s)).state, ResourceState::offline);
}

TEST_F(GaneshaExports, TheirEndIsTold) {
    Driver& driver = make();
    ASSERT_EQ(driver.start(in(20s)).state, ResourceState::online);
    {
        std::lock_guard lock(ganesha_->mutex);
        ganesha_->exports.clear();
    }
    EXPECT_THAT(world_.wait_told().message, HasSubstr("export 77 has vanished from nfs-ganesha"));
    ASSERT_EQ(driver.start(in(20s)).state, ResourceState::online);
    ganesha_->stop();
    EXPECT_THAT(world_.wait_told().message, HasSubstr("nfs-ganesha isn't running on this node"));
    ganesha_->start();
    ASSERT_EQ(driver.start(in(20s)).state, ResourceState::online);
    kill(daemon_, SIGKILL);
    DriverOutcome const told = world_.wait_told();
    EXPECT_EQ(told.state, ResourceState::unknown);
    EXPECT_THAT(told.message, HasSubstr("message bus can't be reached"));
}

// ---- the kernel's server

class KernelExports : public testing::Test {
protected:
    KernelExports() {
        for (char const* each : {"nfsd", "bin", "media"}) std::filesystem::create_directory(world_.dir + "/" + each);
        setenv("CLUSTERD_NFSD", (world_.dir + "/nfsd").c_str(), 1);
        setenv("CLUSTERD_ETAB", (world_.dir + "/etab").c_str(), 1);
        setenv("ETAB", (world_.dir + "/etab").c_str(), 1);
        path_ = std::getenv("PATH");
        setenv("PATH", (world_.dir + "/bin:" + path_).c_str(), 1);
        world_.write("nfsd/threads", "8\n");
        world_.write("nfsd/unlock_filesystem", "");
        world_.write("etab", "/srv/other\t*(rw)\n");
        world_.write("bin/exportfs", R"(#!/bin/sh
echo "$*" >>$ETAB.calls
[ "$1" = -f ] && exit 0
[ -e $ETAB.broken ] && { echo "exportfs: $ETAB.broken"; exit 1; }
for last; do :; done
client=${last%:/*} path=/${last#*:/}
grep -v "^$path	$client(" $ETAB >$ETAB.new
[ "$1" = -o ] && printf '%s\t%s(%s)\n' "$path" "$client" "$2" >>$ETAB.new
mv $ETAB.new $ETAB
)", 0755);
    }
    ~KernelExports() override {
        world_.driver.reset();
        setenv("PATH", path_.c_str(), 1);
        for (char const* each : {"CLUSTERD_NFSD", "CLUSTERD_ETAB", "ETAB"}) unsetenv(each);
    }
    Driver& make() {
        return world_.make(make_file_share_driver, {{"protocol", "nfs"}, {"path", world_.dir + "/media"}, {"server", "kernel"}, {"export-id", "7"}, {"clients", "10.0.0.0/24 10.1.0.9"}});
    }
    DriverWorld world_;
    std::string path_;
};

TEST_F(KernelExports, ComeAndGoByExportfs) {
    Driver& driver = make();
    EXPECT_EQ(driver.probe(in(20s)).state, ResourceState::offline);
    DriverOutcome const started = driver.start(in(20s));
    ASSERT_EQ(started.state, ResourceState::online) << started.message;
    EXPECT_THAT(world_.read("etab"), HasSubstr("/media\t10.0.0.0/24(rw,fsid=7,root_squash)\n"));
    EXPECT_EQ(driver.probe(in(20s)).state, ResourceState::online);
    EXPECT_EQ(driver.stop(in(20s)).state, ResourceState::offline);
    EXPECT_EQ(world_.read("etab"), "/srv/other\t*(rw)\n");
    EXPECT_THAT(world_.read("etab.calls"), HasSubstr("-u 10.1.0.9:" + world_.dir + "/media\n-f\n"));
    EXPECT_EQ(world_.read("nfsd/unlock_filesystem"), world_.dir + "/media\n");
    EXPECT_EQ(driver.probe(in(20s)).state, ResourceState::offline);
}

TEST_F(KernelExports, TheirFaultsAreTold) {
    Driver& driver = make();
    ASSERT_EQ(driver.start(in(20s)).state, ResourceState::online);
    world_.write("etab", "");
    EXPECT_THAT(world_.wait_told().message, HasSubstr("it has vanished from the exports"));
    world_.write("etab.broken", "");
    DriverOutcome seen = driver.start(in(20s));
    EXPECT_EQ(seen.state, ResourceState::failed);
    EXPECT_THAT(seen.message, HasSubstr("exited with status 1: exportfs: "));
    std::filesystem::remove(world_.dir + "/etab.broken");
    ASSERT_EQ(driver.start(in(20s)).state, ResourceState::online);
    world_.write("nfsd/threads", "0\n");
    EXPECT_THAT(world_.wait_told().message, HasSubstr("systemctl start nfs-server"));
    seen = driver.start(in(20s));
    EXPECT_EQ(seen.state, ResourceState::failed);
    EXPECT_FALSE(seen.restart_here);
    std::filesystem::remove(world_.dir + "/nfsd/threads");  // as on a kernel without one
    EXPECT_EQ(driver.probe(in(20s)).state, ResourceState::offline);
}

}  // namespace
}  // namespace clusterd
