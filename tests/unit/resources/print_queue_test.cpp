// The driver print-queue with a real cupsd of the test's own and a printer that is a TCP server (CUPS's backend `socket`); and what is read of
// lpstat. A move between two machines with a client on a third is seen in tests/system/printserver.py.
#include "tests/unit/resources/driver_world.hpp"
#include "tests/unit/resources/programs.hpp"

#include "resources/print_queue.hpp"
#include "resources/print_words.hpp"

#include <gmock/gmock.h>

#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

namespace clusterd {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

// ---- words ------------------------------------------------------------------------------------------------------------------

TEST(Lpstat, AQueueThatIsWell) {
    QueueSeen const seen = read_lpstat("scheduler is running\nprinter laser is idle.  enabled since Fri Nov 27 16:16:37 2026\nlaser accepting requests since Fri Nov 27 16:16:37 2026\n", "laser");
    EXPECT_TRUE(seen.server && seen.there && seen.enabled && seen.accepting);
    EXPECT_EQ(seen.reason, "");
}

TEST(Lpstat, OneThatPrintsAndWhosePrinterIsOffIsWellToo) {
    QueueSeen const seen = read_lpstat("scheduler is running\nprinter laser now printing laser-1.  enabled since Fri Nov 27 16:16:37 2026\n\tThe printer may not exist or is unavailable at this time.\nlaser accepting requests since Fri\n", "laser");
    EXPECT_TRUE(seen.enabled && seen.accepting);
    EXPECT_EQ(seen.reason, "");
}

TEST(Lpstat, OneThatWasStoppedWithItsReason) {
    QueueSeen seen = read_lpstat("scheduler is running\nprinter laser disabled since Fri Nov 27 16:16:38 2026 -\n\tout of paper\nlaser not accepting requests since Fri -\n\tRejecting Jobs\n", "laser");
    EXPECT_TRUE(seen.server && seen.there);
    EXPECT_FALSE(seen.enabled || seen.accepting);
    EXPECT_EQ(seen.reason, "out of paper");
    seen = read_lpstat("scheduler is running\nprinter laser disabled since Fri -\n\treason unknown\n", "laser");
    EXPECT_EQ(seen.reason, "");
}

TEST(Lpstat, NoQueueNoServerAndAnothersQueue) {
    EXPECT_TRUE(read_lpstat("scheduler is running\nlpstat: Invalid destination name in list \"laser\".\n", "laser").server);
    EXPECT_FALSE(read_lpstat("scheduler is running\nlpstat: Invalid destination name in list \"laser\".\n", "laser").there);
    EXPECT_FALSE(read_lpstat("scheduler is not running\n", "laser").server);
    EXPECT_FALSE(read_lpstat("scheduler is running\nprinter laser2 is idle.\nlaser2 accepting requests since\n", "laser").there);
}

TEST(Lpstat, JobsAreCountedOfThatQueueOnly) {
    EXPECT_EQ(count_jobs("laser-1                 root              1024   Fri\nlaser-12 ann 5 Fri\nlaser-2nd-3 ann 5 Fri\nlaserjet-1 ann 1 Fri\n", "laser"), 3);  // a queue laser-2nd can't be told apart
    EXPECT_EQ(count_jobs("laser-x root\nlaser-", "laser"), 0);
    EXPECT_EQ(count_jobs("", "laser"), 0);
}

// ---- with a real cupsd ------------------------------------------------------------------------------------------------------

// A printer: takes what comes on its port. May be switched off.
class Printer {
public:
    explicit Printer(int port) : port_(port) {}
    ~Printer() { off(); }
    void on() {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int const yes = 1;
        setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(static_cast<std::uint16_t>(port_));
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ASSERT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
        ASSERT_EQ(listen(listener_, 8), 0);
        thread_ = std::thread([this] {
            for (int fd; (fd = accept(listener_, nullptr, nullptr)) >= 0; close(fd)) {
                char buffer[4096];
                for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) {
                    std::lock_guard const lock(mutex_);
                    paper_.append(buffer, static_cast<std::size_t>(n));
                }
            }
        });
    }
    void off() {
        if (!thread_.joinable()) return;
        shutdown(listener_, SHUT_RDWR);
        thread_.join();
        close(listener_);
    }
    std::string paper() {
        std::lock_guard const lock(mutex_);
        return paper_;
    }

private:
    int const port_;
    int listener_ = -1;
    std::thread thread_;
    std::mutex mutex_;
    std::string paper_;
};

class PrintQueues : public testing::Test {
protected:
    void SetUp() override {
        if (geteuid() != 0) GTEST_SKIP() << "cupsd of one's own needs root";
        if (std::system("command -v cupsd lpadmin lpstat >/dev/null && test -x /usr/lib/cups/backend/socket") != 0) GTEST_SKIP() << "cups is needed";
        port_ = free_port();
        printer_ = std::make_unique<Printer>(port_);
        chmod(world_.dir.c_str(), 0755);
        passwd const* const lp = getpwnam("lp");
        ASSERT_NE(lp, nullptr);
        for (char const* folder : {"root", "cache", "state", "spool", "spool/tmp"}) {
            fs::create_directory(world_.dir + "/" + folder);
            ASSERT_EQ(chown((world_.dir + "/" + folder).c_str(), 0, lp->pw_gid), 0);
            chmod((world_.dir + "/" + folder).c_str(), 0770);
        }
        world_.write("cupsd.conf", "Listen " + world_.dir + "/sock\nWebInterface No\nBrowsing No\nDefaultAuthType None\n<Location />\nOrder allow,deny\nAllow all\n</Location>\n"
                                   "<Location /admin>\nOrder allow,deny\nAllow all\n</Location>\n<Policy default>\n<Limit All>\nOrder deny,allow\n</Limit>\n</Policy>\nJobRetryInterval 1\n");
        std::string const dir = world_.dir;
        world_.write("cups-files.conf", "ServerRoot " + dir + "/root\nCacheDir " + dir + "/cache\nStateDir " + dir + "/state\nRequestRoot " + dir + "/spool\nTempDir " + dir + "/spool/tmp\nAccessLog " + dir +
                                            "/access\nErrorLog " + dir + "/error\nPageLog " + dir + "/page\nUser lp\nGroup lp\nSystemGroup root\n");
        start_cupsd();
    }
    void TearDown() override {
        world_.driver.reset();
        end_cupsd();
    }
    void start_cupsd() {
        cupsd_ = fork();
        if (cupsd_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            execlp("cupsd", "cupsd", "-f", "-c", (world_.dir + "/cupsd.conf").c_str(), "-s", (world_.dir + "/cups-files.conf").c_str(), nullptr);
            _exit(127);
        }
        for (int i = 0; i < 400 && cups("lpstat -r").find("scheduler is running") == std::string::npos; ++i) usleep(50'000);
        ASSERT_THAT(cups("lpstat -r"), HasSubstr("scheduler is running")) << world_.read("error");
    }
    void end_cupsd() {
        if (cupsd_ > 0) {
            kill(cupsd_, SIGTERM);
            waitpid(cupsd_, nullptr, 0);
        }
        cupsd_ = -1;
    }
    std::string cups(std::string const& command) const { return output_of("LC_ALL=C CUPS_SERVER=" + world_.dir + "/sock " + command); }
    Driver& make(std::map<std::string, std::string> more = {}) {
        std::map<std::string, std::string> all{{"queue", "laser"}, {"device", "socket://127.0.0.1:" + std::to_string(port_)}, {"model", "raw"}, {"cups-socket", world_.dir + "/sock"}, {"check-every", "200ms"}, {"wait", "1s"}};
        for (auto const& [name, value] : more) all[name] = value;
        return world_.make(make_print_queue_driver, all);
    }
    void print(std::string const& text) const { ASSERT_THAT(cups("sh -c \"printf '" + text + "' | lp -d laser\""), HasSubstr("request id is")); }
    bool printed(std::string const& text) const {
        for (int i = 0; i < 600 && printer_->paper().find(text) == std::string::npos; ++i) usleep(50'000);
        return printer_->paper().find(text) != std::string::npos;
    }

    DriverWorld world_;
    int port_ = 0;
    std::unique_ptr<Printer> printer_;
    pid_t cupsd_ = -1;
};

TEST_F(PrintQueues, ComesPrintsAndGoes) {
    printer_->on();
    Driver& queue = make({{"info", "The laser printer"}, {"location", "First floor"}});
    EXPECT_EQ(queue.probe(in(20s)).state, ResourceState::offline);
    DriverOutcome const started = queue.start(in(60s));
    ASSERT_EQ(started.state, ResourceState::online) << started.message << world_.read("error");
    EXPECT_THAT(cups("lpstat -l -p laser"), ::testing::AllOf(HasSubstr("The laser printer"), HasSubstr("First floor")));
    print("page one");
    EXPECT_TRUE(printed("page one"));
    EXPECT_EQ(queue.probe(in(20s)).state, ResourceState::online);
    EXPECT_EQ(queue.start(in(60s)).state, ResourceState::online);
    DriverOutcome const stopped = queue.stop(in(60s));
    EXPECT_EQ(stopped.state, ResourceState::offline);
    EXPECT_EQ(stopped.message, "");
    EXPECT_THAT(cups("lpstat -p laser"), HasSubstr("Invalid destination"));
    EXPECT_EQ(queue.stop(in(60s)).state, ResourceState::offline);
}

// A printer that is off: its job isn't lost, and is printed once the group is back and the printer on.
TEST_F(PrintQueues, AJobThatCouldNotBePrintedStaysUntilItIsBack) {
    Driver& queue = make();
    ASSERT_EQ(queue.start(in(60s)).state, ResourceState::online);
    print("kept page");
    DriverOutcome const stopped = queue.stop(in(30s));
    EXPECT_EQ(stopped.state, ResourceState::offline);
    EXPECT_THAT(stopped.message, HasSubstr("1 job stays in it on this node"));
    EXPECT_EQ(queue.probe(in(20s)).state, ResourceState::offline);
    EXPECT_THAT(cups("sh -c 'echo no | lp -d laser'"), HasSubstr("not accepting"));
    printer_->on();
    ASSERT_EQ(queue.start(in(60s)).state, ResourceState::online);
    EXPECT_TRUE(printed("kept page"));
    EXPECT_EQ(queue.stop(in(60s)).message, "");
}

TEST_F(PrintQueues, AJobThatIsBeingPrintedIsWaitedFor) {
    Driver& queue = make({{"wait", "30s"}});
    ASSERT_EQ(queue.start(in(60s)).state, ResourceState::online);
    print("late page");
    std::thread switched([this] {
        usleep(700'000);
        printer_->on();
    });
    EXPECT_EQ(queue.stop(in(60s)).message, "");
    switched.join();
    EXPECT_TRUE(printed("late page"));
    EXPECT_THAT(cups("lpstat -p laser"), HasSubstr("Invalid destination"));
}

TEST_F(PrintQueues, ItsEndIsToldByWhateverEndsIt) {
    Driver& queue = make();
    for (auto const& [command, words] : {std::pair{"lpadmin -x laser", "somebody deleted it"}, {"cupsdisable -r 'out of toner' laser", "somebody stopped its printing (out of toner)"}, {"cupsreject laser", "takes no jobs any more"}}) {
        ASSERT_EQ(queue.start(in(60s)).state, ResourceState::online);
        cups(command);
        DriverOutcome const told = world_.wait_told();
        EXPECT_EQ(told.state, ResourceState::failed);
        EXPECT_THAT(told.message, HasSubstr(words));
    }
    ASSERT_EQ(queue.start(in(60s)).state, ResourceState::online);
    end_cupsd();
    EXPECT_THAT(world_.wait_told().message, HasSubstr("CUPS isn't running on this node"));
    EXPECT_EQ(queue.probe(in(20s)).state, ResourceState::offline);
    EXPECT_EQ(queue.stop(in(30s)).state, ResourceState::offline);
    EXPECT_THAT(queue.start(in(30s)).message, HasSubstr("CUPS isn't running on this node: systemctl start cups"));
    start_cupsd();  // it remembers the queue: a clean start takes it over, a stop takes it away
    ASSERT_EQ(queue.start(in(60s)).state, ResourceState::online);
    EXPECT_EQ(queue.kill(in(30s)).state, ResourceState::offline);
    EXPECT_THAT(cups("lpstat -p laser"), HasSubstr("disabled"));
}

TEST_F(PrintQueues, NoOtherQueueIsTouched) {
    cups("lpadmin -p other -v socket://127.0.0.1:1 -m raw -E");
    Driver& queue = make();
    ASSERT_EQ(queue.start(in(60s)).state, ResourceState::online);
    queue.stop(in(30s));
    QueueSeen const other = read_lpstat(cups("lpstat -r -p other -a other"), "other");
    EXPECT_TRUE(other.there && other.enabled && other.accepting);
}

TEST_F(PrintQueues, APrinterThatCantBeAskedIsSaidSo) {
    DriverOutcome const outcome = make({{"device", "ipp://127.0.0.1:1/ipp/print"}, {"model", "everywhere"}}).start(in(60s));
    EXPECT_EQ(outcome.state, ResourceState::failed);
    EXPECT_THAT(outcome.message, HasSubstr("switched on"));
    EXPECT_THAT(make({{"model", "no-such-model"}}).start(in(60s)).message, HasSubstr("print queue web (laser): "));
}

}  // namespace
}  // namespace clusterd
