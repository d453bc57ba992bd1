// See gate.hpp.
#include "clusterd/gate/gate.hpp"

#include "clusterd/gate/netlink.hpp"
#include "clusterd/gate/nft.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <fmt/core.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <set>

namespace clusterd {

using gate::Address;
using gate::ElementChange;

namespace {

// Read here and now, not the loop's: a timeout counted from an instant that has passed would end too late.
Instant clock_now() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return {now.tv_sec * 1'000'000'000 + now.tv_nsec};
}

constexpr Duration slow_batch = std::chrono::milliseconds(5);
constexpr std::uint64_t longest_timeout_ms = 24 * 3600 * 1000;
constexpr Duration quiet_moment = std::chrono::seconds(10);
constexpr Duration first_retry = std::chrono::milliseconds(50), longest_retry = std::chrono::seconds(5);

}  // namespace

struct Gate::Impl {
    Impl(Loop& the_loop, GateOptions the_options) : loop(the_loop), options(std::move(the_options)) {}

    Loop& loop;
    GateOptions options;
    State state = State::unopened;
    std::string reason;
    std::uint64_t restored = 0, batches = 0;
    bool egress = false;

    std::set<Address> cluster, allowed;
    Instant end = long_ago;         // of the permit
    Instant pushed_end = long_ago;  // what the kernel was told; long_ago: that nothing is allowed
    Instant pushed_at = long_ago;
    bool timer_set = false;

    gate::Netlink control, events;
    gate::NftRun run;
    enum class Part : std::uint8_t { sets, main, egress } part = Part::main;  // of the ruleset, that `run` sets up
    Duration retry = first_retry;
    int in_a_row = 0;  // restorations without a quiet moment between
    Instant restored_at = long_ago;
    Loop::HandlePtr event_watch, run_watch, run_deadline, renew_timer, retry_timer;

    void tell(std::string const& message) const {
        if (options.notify) options.notify(message);
    }
    // A handle must not be destroyed within its own callback.
    void retire(Loop::HandlePtr& handle) {
        if (handle) loop.post([kept = std::shared_ptr<Loop::Handle>(std::move(handle))]() {});
    }
    bool usable() const { return state == State::active || state == State::restoring; }

    gate::RulesetInput ruleset_input() const {
        gate::RulesetInput input{options.table, {}, {}, options.interfaces};
        for (auto const& address : cluster) (address.v6 ? input.v6 : input.v4).push_back(to_text(address));
        return input;
    }

    // ---- elements

    // The same change in each of our tables that knows such addresses.
    void add_change(std::vector<ElementChange>& changes, char const* set, Address const& address, bool present, std::uint64_t timeout_ms) const {
        std::string const name = std::string(set) + (address.v6 ? "6" : "4");
        changes.push_back({NFPROTO_INET, name, address, present, timeout_ms});
        if (!address.v6) changes.push_back({NFPROTO_ARP, name, address, present, timeout_ms});
        if (egress) changes.push_back({NFPROTO_NETDEV, name, address, present, timeout_ms});
    }

    void send(std::vector<ElementChange> const& changes) {
        int const error = control.change(options.table, changes);
        ++batches;
        if (error == 0 || state == State::restoring) return;  // while nft runs, the sets may be missing
        reason = fmt::format("a change of the address gate's sets failed: {}", std::strerror(error));
        if (!stands()) {
            restore();
        } else {
            tell(reason);
            retry_later();
        }
    }

    // Tells the kernel until when the allowed addresses may be heard. Where we were stopped between the clock and the commit, the
    // elements would live too long by that time: so the clock is read again, and the batch repeated.
    void push() {
        if (!usable()) return;
        for (int attempt = 0; attempt < 3; ++attempt) {
            Instant const before = clock_now();
            std::int64_t const left_ms = end <= before ? 0 : to_ms(end - before - options.margin);
            bool const open = left_ms > 0;
            std::vector<ElementChange> changes;
            for (auto const& address : allowed)
                add_change(changes, "allowed", address, open, std::min<std::uint64_t>(open ? static_cast<std::uint64_t>(left_ms) : 0, longest_timeout_ms));
            pushed_end = open ? end : long_ago;
            pushed_at = before;
            if (changes.empty()) return;
            send(changes);
            if (!open || clock_now() - before < slow_batch) return;
        }
    }

    void permit(Instant new_end) {
        end = new_end;
        if (!usable()) return;
        Instant const now = clock_now();
        if (end - options.margin <= now) {
            if (pushed_end != long_ago) push();
            return;
        }
        bool const due = now - pushed_at >= options.renew_every || pushed_end - now <= options.renew_every;
        if (end < pushed_end || (end > pushed_end && due)) {
            push();
        } else if (end > pushed_end && !timer_set) {
            timer_set = true;
            renew_timer = loop.at(pushed_at + options.renew_every, [this] {
                timer_set = false;
                if (end > pushed_end) push();
            });
        }
    }

    // ---- the tables

    // With the egress chains that are wanted: then they are there.
    bool all_stands() {
        egress = !options.interfaces.empty();
        bool const all = stands();
        egress = egress && all;
        return all;
    }

    bool stands() {
        auto const count4 = static_cast<int>(std::count_if(cluster.begin(), cluster.end(), [](Address const& a) { return !a.v6; }));
        auto const count6 = static_cast<int>(cluster.size()) - count4;
        if (control.rules(NFPROTO_INET, options.table) != gate::main_inet_rules) return false;
        if (control.rules(NFPROTO_ARP, options.table) != gate::main_arp_rules) return false;
        if (control.elements(NFPROTO_INET, options.table, "cluster4") != count4) return false;
        if (control.elements(NFPROTO_INET, options.table, "cluster6") != count6) return false;
        if (control.elements(NFPROTO_ARP, options.table, "cluster4") != count4) return false;
        int const wanted = gate::egress_rules_per_interface * static_cast<int>(options.interfaces.size());
        return !egress || control.rules(NFPROTO_NETDEV, options.table) == wanted;
    }

    void restore() {
        if (state != State::active) return;
        ++restored;
        Instant const now = clock_now();
        in_a_row = now - restored_at < quiet_moment ? in_a_row + 1 : 1;
        restored_at = now;
        state = State::restoring;
        tell(fmt::format("someone removed the address gate's nftables rules (table {}); they are put back at once (time {}). "
                         "Does something run `nft flush ruleset`, as Debian's nftables.service does at each reload?",
                         options.table, restored));
        if (in_a_row <= 5)
            start_run(Part::sets);
        else
            retry_later();  // a war with someone: let the loop breathe
    }

    std::string ruleset(Part of) const {
        switch (of) {
        case Part::sets: return gate::sets_ruleset(ruleset_input(), egress);
        case Part::main: return gate::main_ruleset(ruleset_input());
        case Part::egress: break;
        }
        return gate::egress_ruleset(ruleset_input(), false);
    }

    void start_run(Part next) {
        part = next;
        auto started = run.start(options.nft, ruleset(next));
        if (!started) return failed(started.error());
        run_watch = loop.on_readable(run.pidfd(), [this] { run_ended(); });
        run_deadline = loop.at(clock_now() + options.nft_deadline, [this] { run_ended(); });
    }

    // Sets, then their elements, then the rules: at no moment is anything closed that may be open. The elements never come from nft:
    // one that was frozen would set them up with a time that has passed.
    void run_ended() {
        if (!run.running()) return;
        retire(run_watch);
        retire(run_deadline);
        auto const result = run.finish();
        if (part == Part::egress) {
            egress = static_cast<bool>(result);
            if (!result) tell("announcements are not gated: " + result.error());
        } else if (!result) {
            return failed(result.error());
        }
        push();
        if (part == Part::sets) return start_run(Part::main);
        if (part == Part::main && egress) return start_run(Part::egress);
        (void)events.notices([](gate::Netlink::Notice const&) {});  // our own doing; what stands is looked at now
        state = State::active;
        retry = first_retry;
        if (!stands()) restore();
    }

    void failed(std::string const& why) {
        reason = why;
        tell(fmt::format("the address gate couldn't be put back: {}; tried again in {} ms", why, to_ms(retry)));
        retry_later();
    }

    void retry_later() {
        state = State::restoring;
        retire(retry_timer);
        retry_timer = loop.at(clock_now() + retry, [this] {
            if (state == State::restoring && !run.running()) start_run(Part::sets);
        });
        retry = std::min(retry * 2, longest_retry);
    }

    void noticed() {
        bool touched = false;
        bool const complete = events.notices([&](gate::Netlink::Notice const& notice) {
            if (notice.table != options.table) return;
            switch (notice.type) {
                case NFT_MSG_DELTABLE: case NFT_MSG_DELCHAIN: case NFT_MSG_DELRULE: case NFT_MSG_DELSET: case NFT_MSG_NEWRULE:
                    touched = true;
                    break;
                case NFT_MSG_NEWSETELEM: case NFT_MSG_DELSETELEM:
                    touched = touched || notice.set.starts_with("cluster");
                    break;
                default: break;
            }
        });
        if (complete && !touched) return;
        if (state == State::restoring) {
            push();  // nft's transaction is in: open what may be open without waiting for its exit
        } else if (state == State::active) {
            if (!stands()) restore();
        }
    }

    // ---- opening

    Result<Done> run_now(std::string const& ruleset) {
        gate::NftRun once;
        if (auto started = once.start(options.nft, ruleset); !started) return started;
        once.wait(options.nft_deadline);
        return once.finish();
    }

    Result<Done> unavailable(std::string const& why) {
        state = State::unavailable;
        reason = fmt::format("no address gate: {}. Run as root (CAP_NET_ADMIN) on a kernel with nftables; without the gate the permit "
                             "must be at least 1500 ms", why);
        return Error{reason};
    }

    // A dead worker's: of use at once, since its permit doesn't wait for nft. They may be of an older version of ours, so they are put
    // right all the same, in the background.
    Result<Done> open_what_stands() {
        reason.clear();
        event_watch = loop.on_readable(events.fd(), [this] { noticed(); });
        state = State::restoring;
        push();
        start_run(Part::main);
        return Done{};
    }

    Result<Done> open() {
        if (usable()) return Done{};
        if (options.table.empty() || options.table.size() > 60 ||
            options.table.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != std::string::npos)
            return unavailable(fmt::format("table name \"{}\" may have letters, digits and _ only", options.table));
        for (auto const& interface : options.interfaces)
            if (interface.empty() || interface.size() > 15 || interface.find_first_of("\"\\\n {};*") != std::string::npos)
                return unavailable(fmt::format("\"{}\" is not an interface's name", interface));
        // The listener first: what happens to the tables from their first moment on is seen.
        if (auto opened = events.open(true); !opened) return unavailable(opened.error());
        if (auto opened = control.open(false); !opened) return unavailable(opened.error());
        if (all_stands()) return open_what_stands();
        if (auto done = run_now(main_ruleset(ruleset_input())); !done) {
            // Tables of another version of ours may stand in the way: then a clean start.
            auto const again = run_now(gate::removal(options.table, false) + main_ruleset(ruleset_input()));
            if (!again) return unavailable(done.error());
        }
        state = State::active;
        reason.clear();
        if (!options.interfaces.empty()) {
            auto done = run_now(gate::egress_ruleset(ruleset_input(), false));  // a dead worker's elements go on
            if (!done) done = run_now(gate::egress_ruleset(ruleset_input(), true));
            egress = static_cast<bool>(done);
            if (!done) tell("announcements are gated by the worker only: " + done.error());
        }
        event_watch = loop.on_readable(events.fd(), [this] { noticed(); });
        if (!stands()) restore();
        push();
        return Done{};
    }

    // ---- which addresses

    // None is taken off again: a chain on an interface without cluster addresses lets everything through.
    void add_interfaces(std::vector<std::string> const& interfaces) {
        auto const before = options.interfaces.size();
        for (auto const& interface : interfaces)
            if (std::find(options.interfaces.begin(), options.interfaces.end(), interface) == options.interfaces.end()) options.interfaces.push_back(interface);
        if (options.interfaces.size() == before || !usable()) return;
        egress = true;
        if (state == State::restoring) return;  // what runs, or will, ends with a look at all that is wanted
        state = State::restoring;
        start_run(Part::sets);
    }


    Result<Done> set_addresses(std::vector<std::string> const& addresses) {
        std::set<Address> wanted;
        for (auto const& text : addresses) {
            auto const address = gate::parse_address(text);
            if (!address) return Error{fmt::format("\"{}\" is not an IPv4 or IPv6 address", text)};
            wanted.insert(*address);
        }
        std::vector<ElementChange> changes;
        for (auto const& address : wanted)
            if (!cluster.contains(address)) add_change(changes, "cluster", address, true, 0);
        for (auto const& address : cluster) {
            if (wanted.contains(address)) continue;
            add_change(changes, "cluster", address, false, 0);
            if (allowed.erase(address)) add_change(changes, "allowed", address, false, 0);
        }
        cluster = std::move(wanted);
        if (usable() && !changes.empty()) send(changes);
        return Done{};
    }

    Result<Done> change_allowed(std::string const& text, bool present) {
        auto const address = gate::parse_address(text);
        if (!address) return Error{fmt::format("\"{}\" is not an IPv4 or IPv6 address", text)};
        if (present) {
            if (!cluster.contains(*address)) return Error{fmt::format("{} is not one of the cluster's addresses", text)};
            allowed.insert(*address);
            push();
        } else if (allowed.erase(*address) && usable()) {
            std::vector<ElementChange> changes;
            add_change(changes, "allowed", *address, false, 0);
            send(changes);
        }
        return Done{};
    }
};

Gate::Gate(Loop& loop, GateOptions options) : impl_(std::make_unique<Impl>(loop, std::move(options))) {}
Gate::~Gate() {
    if (impl_->run.running()) (void)impl_->run.finish();  // before the tables go: it would make them anew
    if (impl_->options.remove_on_close && impl_->usable()) (void)impl_->run_now(gate::removal(impl_->options.table, impl_->egress));
}

Result<Done> Gate::open() { return impl_->open(); }
void Gate::add_interfaces(std::vector<std::string> const& interfaces) { impl_->add_interfaces(interfaces); }
Result<Done> Gate::set_addresses(std::vector<std::string> const& addresses) { return impl_->set_addresses(addresses); }
Result<Done> Gate::allow(std::string const& address) { return impl_->change_allowed(address, true); }
Result<Done> Gate::disallow(std::string const& address) { return impl_->change_allowed(address, false); }
void Gate::permit(Instant end) { impl_->permit(end); }
Gate::State Gate::state() const { return impl_->state; }
std::string const& Gate::reason() const { return impl_->reason; }
std::uint64_t Gate::times_restored() const { return impl_->restored; }
std::uint64_t Gate::renewals() const { return impl_->batches; }
bool Gate::announcements_gated() const { return impl_->egress; }

}  // namespace clusterd
