// See smb.hpp.
#include "agents/smb.hpp"

#include "clusterd/talk/connection.hpp"
#include "agents/program.hpp"
#include "agents/smb_answer.hpp"
#include "agents/text.hpp"
#include "resources/attributes.hpp"
#include "resources/secret_file.hpp"

#include <fmt/format.h>

#include <sys/random.h>
#include <sys/wait.h>
#include <cstring>

namespace clusterd {
namespace {

class Smb final : public Agent {
public:
    Smb(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events)
        : program_(guard, events, resource.name) {
        Attributes const attributes(health.attributes);
        address_ = attributes.text("address");
        port_ = attributes.number("port", 445);
        to_ = endpoint(address_, port_);
        share_ = attributes.text("share");
        user_ = attributes.text("user");
        password_file_ = attributes.text("password-file");
    }

    CheckOutcome check(Instant deadline) override {
        auto const spoken = negotiate(deadline);
        return spoken.result != Health::ok || share_.empty() ? spoken : connect(spoken.message, deadline);
    }

private:
    CheckOutcome negotiate(Instant deadline) const {
        Connection server(to_);
        if (auto const opened = server.open(deadline); opened.result != Health::ok) return opened;
        SmbRandom random{};
        if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) return {Health::unknown, "no random numbers"};
        if (auto const out = server.say(write_smb_negotiate(random), deadline); out.result != Health::ok) return out;
        std::string heard;
        for (;;) {
            if (auto const dialect = read_smb_negotiate(heard)) {
                if (!*dialect) return {Health::failed, fmt::format("{}: {}", to_.where, dialect->error())};
                return {Health::ok, fmt::format("{}: speaks {}", to_.where, **dialect)};
            }
            switch (server.hear(heard, deadline)) {
                case Connection::Heard::more: break;
                case Connection::Heard::late: return {Health::failed, to_.where + ": connected, but no answer in time"};
                case Connection::Heard::closed: return {Health::failed, to_.where + ": it closed the connection"};
                case Connection::Heard::error: return {Health::failed, fmt::format("{}: {}", to_.where, std::strerror(server.error()))};
            }
        }
    }

    // smbclient only connects to the share. It gets the password as the name of a file, never on its command line.
    CheckOutcome connect(std::string const& spoken, Instant deadline) {
        std::vector<std::string> argv{"smbclient", "//" + address_ + "/" + share_, "-I", address_, "-p", std::to_string(port_), "-c", "exit"}, env;
        if (user_.empty()) {
            argv.emplace_back("-N");
        } else {
            if (auto const secret = read_secret_file(password_file_); !secret) return {Health::unknown, secret.error()};
            argv.insert(argv.end(), {"-U", user_});
            env.push_back("PASSWD_FILE=" + password_file_);
        }
        auto const run = program_.run(argv, env, deadline);
        if (run.end == ProgramResult::End::not_run)
            return {Health::unknown, fmt::format("{}, but smbclient can't be run: {}{}", spoken, run.error,
                                                 run.error.find("No such file") != std::string::npos ? "; install the package smbclient" : "")};
        if (run.end == ProgramResult::End::too_late) return {Health::failed, fmt::format("{}, but doesn't connect to share {} in time", spoken, share_)};
        std::string const status = smb_status_in(run.output);
        if (WIFEXITED(run.wait_status) && WEXITSTATUS(run.wait_status) == 0) return {Health::ok, fmt::format("{}, serves share {}", spoken, share_)};
        if (status == "NT_STATUS_BAD_NETWORK_NAME")
            return {Health::failed, fmt::format("{}, but has no share {} (or its directory is missing)", spoken, share_)};
        if (status == "NT_STATUS_ACCESS_DENIED" && user_.empty()) return {Health::ok, fmt::format("{}, has share {} (not for guests)", spoken, share_)};
        bool const login = status == "NT_STATUS_LOGON_FAILURE" || status == "NT_STATUS_ACCESS_DENIED" || status.starts_with("NT_STATUS_ACCOUNT_") ||
                           status.starts_with("NT_STATUS_PASSWORD_") || status == "NT_STATUS_NO_SUCH_USER";
        if (login) return {Health::unknown, fmt::format("{}, but the login for share {} is refused: {}", spoken, share_, status)};
        return {Health::failed, fmt::format("{}, but can't be connected to share {}: {}", spoken, share_, status.empty() ? one_line(run.output, 120) : status)};
    }

    Program program_;
    std::string address_, share_, user_, password_file_;
    int port_ = 445;
    Endpoint to_;
};

}  // namespace

AgentPtr make_smb_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events) {
    return std::make_unique<Smb>(health, resource, guard, events);
}

}  // namespace clusterd
