// See network_name.hpp.
#include "resources/network_name.hpp"

#include "clusterd/talk/dns_client.hpp"
#include "resources/attributes.hpp"
#include "resources/dns_update.hpp"
#include "resources/one_shot.hpp"
#include "resources/secret_file.hpp"
#include "resources/state_file.hpp"
#include "resources/status_watch.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sys/random.h>
#include <algorithm>
#include <chrono>

namespace clusterd {
namespace {

constexpr Duration start_takes = std::chrono::seconds(15), stop_takes = std::chrono::seconds(5), question_takes = std::chrono::seconds(5);
char const nsupdate[] = "printf %s \"$1\" | exec nsupdate -t 10 -u 2 -r 1 -k \"$2\"";  // nothing of a secret stands on a command line

class NetworkName final : public Driver {
public:
    NetworkName(ResourceSpec const& resource, DriverContext context)
        : name_(resource.name), context_(std::move(context)), state_(state_path(resource.name)), watch_(context_.guard, context_.events, context_.changed) {
        Attributes const attributes(resource.attributes);
        update_.server = attributes.text("server");
        update_.port = attributes.number("port", 53);
        if (auto const zone = parse_dns_name(attributes.text("zone"))) update_.zone = *zone;
        if (auto const name = parse_dns_name(attributes.text("dns-name"))) update_.name = *name;  // config/ has refused others
        update_.ttl_s = std::chrono::ceil<std::chrono::seconds>(attributes.duration("ttl", std::chrono::minutes(1))).count();
        for (std::string const& each : split_blanks(attributes.text("address")))
            if (auto const address = parse_address(each)) update_.addresses.push_back(*address);
        server_ = endpoint(update_.server, update_.port);
        key_file_ = attributes.text("key-file");
        remove_ = attributes.yes("remove", true);
        every_ = attributes.duration("check-every", std::chrono::minutes(1));
    }

    // Offline where this node hasn't put it there, whatever the server has: the other node may have.
    DriverOutcome probe(Instant deadline) override {
        watch_.end();
        update_.token = state_.read();
        if (update_.token == offline_mark) return {ResourceState::offline, {}, true};
        Instant const until = soon(question_takes, deadline);
        DnsAnswer owner;
        if (auto const out = ask({.name = owner_name(update_.name), .txt = true}, until, owner); out.result != Health::ok) {
            watch();  // a server that is down takes no name away that this node has put there; the watch tells if it turns out otherwise
            return {ResourceState::online, say(out.message), true};
        }
        if (owner.code == 0 && !owner.texts.empty() && std::ranges::find(owner.texts, update_.token) == owner.texts.end()) return {ResourceState::offline, {}, true};  // the other node's by now
        DriverOutcome outcome = look(until);
        if (outcome.state == ResourceState::unknown) outcome.state = ResourceState::online;
        if (outcome.state == ResourceState::online) watch();
        return outcome;
    }

    DriverOutcome start(Instant deadline) override {
        watch_.end();
        auto const key = read_key();
        if (!key) return {ResourceState::failed, say(key.error()), false};
        update_.token = fresh_token();
        if (auto const why = state_.write(update_.token); !why.empty()) return {ResourceState::failed, say(why), true};
        NsupdateAnswer const answer = run("start", claim_script(update_), *key, soon(start_takes, deadline));
        if (answer.what != NsupdateAnswer::What::done)
            return {ResourceState::failed, say(answer.message), true};  // the server would say the same to the other node, and may be mended meanwhile
        DriverOutcome outcome = look(soon(question_takes, deadline));
        if (outcome.state != ResourceState::online) return {ResourceState::failed, outcome.message, true};
        watch();
        return outcome;
    }

    // A server that is down hinders nobody: the name stays, and whoever starts it next overwrites it.
    DriverOutcome stop(Instant deadline) override {
        watch_.end();
        update_.token = state_.read();
        DriverOutcome outcome{ResourceState::offline, {}, true};
        if (update_.token != offline_mark && remove_) {
            auto const key = read_key();
            NsupdateAnswer const answer = key ? run("stop", release_script(update_), *key, soon(stop_takes, deadline)) : NsupdateAnswer{NsupdateAnswer::What::refused, key.error()};
            if (answer.what != NsupdateAnswer::What::done && answer.what != NsupdateAnswer::What::not_ours)
                outcome.message = say("it is left in DNS: " + answer.message);
        }
        return gone(std::move(outcome));
    }
    DriverOutcome kill(Instant) override {
        watch_.end();
        return gone({ResourceState::offline, {}, true});
    }

private:
    static constexpr char const* offline_mark = "offline";
    static std::string state_path(std::string const& name) {
        std::string const usual = StateFile::usual_path("network-name", name);
        return usual.empty() ? "/run/clusterd/network-name/" + name : usual;
    }
    static Instant soon(Duration takes, Instant deadline) { return std::min(boot_now() + takes, before_deadline(deadline)); }
    static std::string fresh_token() {
        std::uint64_t bits = 0;
        if (getrandom(&bits, sizeof bits, 0) != sizeof bits) bits = static_cast<std::uint64_t>(boot_now().ns);
        return fmt::format("{:016x}", bits);
    }
    std::string say(std::string const& what) const { return fmt::format("network name {} ({}): {}", name_, update_.name, what); }

    Result<std::string> read_key() const {
        auto const text = read_secret_file(key_file_);
        if (!text) return Error{"key-file " + text.error()};
        auto const key = tsig_key_name(*text);
        return key ? key : Error{"key-file " + key_file_ + " " + key.error()};
    }

    NsupdateAnswer run(char const* kind, std::string const& script, std::string const& key, Instant deadline) {
        OneShot shot(context_.guard, context_.events);
        OneShotResult const result = shot.run(name_, kind, {"/bin/sh", "-c", nsupdate, "nsupdate", script, key_file_}, {}, deadline);
        if (result.end == OneShotResult::End::not_run) return {NsupdateAnswer::What::no_answer, "nsupdate can't be run: " + result.error};
        if (result.end != OneShotResult::End::exited) return {NsupdateAnswer::What::no_answer, fmt::format("DNS server {} port {} doesn't answer in time", update_.server, update_.port)};
        return read_nsupdate(result.succeeded(), result.output, update_, key);
    }

    CheckOutcome ask(DnsQuestion question, Instant deadline, DnsAnswer& answer) const {
        return ask_dns(server_, std::move(question), [](DnsAnswer const&) { return false; }, deadline, answer);
    }

    // Has the server the addresses, and no others? unknown: it doesn't answer.
    DriverOutcome look(Instant deadline) const {
        std::vector<std::string> wanted, found;
        for (IpAddress const& each : update_.addresses) wanted.push_back(format_address(each));
        for (bool const v6 : {false, true}) {
            DnsAnswer answer;
            if (auto const out = ask({.name = update_.name, .v6 = v6}, deadline, answer); out.result != Health::ok) return {ResourceState::unknown, say(out.message), true};
            if (answer.code != 0 && answer.code != 3) return {ResourceState::unknown, say(fmt::format("{}: {}", server_.where, dns_code(answer.code))), true};
            found.insert(found.end(), answer.addresses.begin(), answer.addresses.end());
        }
        std::ranges::sort(wanted);
        std::ranges::sort(found);
        if (wanted == found) return {ResourceState::online, {}, true};
        return {ResourceState::failed,
                say(fmt::format("{} says it is {}, not {}; somebody else has changed it", server_.where, found.empty() ? "not there" : fmt::format("{}", fmt::join(found, " ")), fmt::join(wanted, " "))), true};
    }

    void watch() {
        watch_.begin({{every_, [this](OneShot&) {
                           DriverOutcome outcome = look(boot_now() + question_takes);
                           // A server that is down takes no name away that others have asked for.
                           if (outcome.state == ResourceState::unknown) outcome.state = ResourceState::online;
                           return outcome;
                       }}});
    }

    DriverOutcome gone(DriverOutcome outcome) {
        if (auto const left = end_processes(context_.guard, name_, [this](std::string const& what) { return say(what); }); left.state != ResourceState::offline) return left;
        if (auto const why = state_.remove(); !why.empty()) return {ResourceState::unknown, say(why), true};
        return outcome;
    }

    std::string const name_;
    DriverContext const context_;
    StateFile const state_;  // the token of this node's last start
    DnsUpdate update_;
    Endpoint server_;
    std::string key_file_;
    bool remove_ = true;
    Duration every_{};
    StatusWatch watch_;
};

}  // namespace

DriverPtr make_network_name_driver(ResourceSpec const& resource, DriverContext context) {
    return std::make_unique<NetworkName>(resource, std::move(context));
}

}  // namespace clusterd
