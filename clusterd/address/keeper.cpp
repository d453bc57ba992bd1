// See keeper.hpp.
#include "clusterd/address/keeper.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace clusterd {

using net::Mac;

namespace {

constexpr int burst = 5;
constexpr Duration least_between_bursts = std::chrono::milliseconds(500);
constexpr Duration ask_soon = std::chrono::milliseconds(700);  // after a suspicion: longer than Conflicts::confirmed_after

bool contains(std::vector<Mac> const& macs, Mac const& mac) {
    return std::find(macs.begin(), macs.end(), mac) != macs.end();
}

}  // namespace

AddressKeeper::AddressKeeper(Loop& loop, std::string peer, Callbacks callbacks, Pace pace)
    : loop_(loop), peer_(std::move(peer)), callbacks_(std::move(callbacks)), pace_(pace), thread_("addresses", loop) {}

AddressKeeper::~AddressKeeper() = default;

// ---- what the worker says -----------------------------------------------------------------------------------------------------

void AddressKeeper::configure(std::vector<Address> addresses) {
    std::map<std::string, Kept> next;
    for (Address& a : addresses) {
        auto const old = kept_.find(a.resource);
        Instant const since = old != kept_.end() ? old->second.online_since : forever;
        next.insert_or_assign(a.resource, Kept{a, since});
    }
    for (auto const& [name, old] : kept_) {
        auto const it = next.find(name);
        if (it == next.end() || it->second.spec.address.address != old.spec.address.address) conflicts_.forget(name);
    }
    kept_ = std::move(next);
    ears_.clear();
    if (kept_.empty()) {
        round_timer_.reset(), again_timer_.reset(), announce_timer_.reset();
        return;
    }
    arm_round();
    if (!announce_timer_) arm_announcing();
}

void AddressKeeper::online(std::string const& resource, bool here) {
    auto const it = kept_.find(resource);
    if (it == kept_.end() || here == (it->second.online_since != forever)) return;
    it->second.online_since = here ? loop_.now().mono : forever;
    for (auto& [place, ear] : ears_) filter(place, ear);
}

void AddressKeeper::nothing_online() {
    for (auto const& [name, kept] : kept_) online(name, false);
}

void AddressKeeper::role(Role role) {
    if (role == role_) return;
    role_ = role;
    if (!may_look()) return;
    healed();
    round();
}

void AddressKeeper::healed() {
    Instant const now = loop_.now().mono;
    if (now - last_burst_ < least_between_bursts) return;
    last_burst_ = now;
    announce_all(burst);
}

void AddressKeeper::peer_macs(std::vector<Mac> macs) {
    if (macs == peer_macs_) return;
    peer_macs_ = std::move(macs);
    for (auto& [place, ear] : ears_) filter(place, ear);
    round();
}

std::vector<std::string> AddressKeeper::concerns() const {
    std::vector<std::string> all;
    for (auto const& c : conflicts_.open())
        if (auto const it = kept_.find(c.resource); it != kept_.end()) all.push_back(describe(it->second, c.mac));
    return all;
}

// ---- announcing ------------------------------------------------------------------------------------------------------------------

void AddressKeeper::announce_all(int times) {
    for (auto const& [name, kept] : kept_)
        if (kept.online_since != forever) callbacks_.announce(name, times);
}

// A timer must not be replaced within its own call.
void AddressKeeper::arm_round() {
    round_timer_ = loop_.at(loop_.now().mono + pace_.ask, [this] {
        thread_.back()->post([this] {
            if (kept_.empty()) return;
            arm_round();
            round();
        });
    });
}

void AddressKeeper::arm_announcing() {
    announce_timer_ = loop_.at(loop_.now().mono + pace_.announce, [this] {
        thread_.back()->post([this] {
            if (kept_.empty()) return;
            arm_announcing();
            announce_all(1);
        });
    });
}

// ---- asking -------------------------------------------------------------------------------------------------------------------------

void AddressKeeper::round() {
    tell_what_is_over();
    if (!may_look() || kept_.empty()) return;
    if (looking_) {
        look_again_ = true;
        return;
    }
    looking_ = true;
    std::set<std::string> interfaces;
    for (auto const& [name, kept] : kept_) interfaces.insert(kept.spec.interface);
    thread_.run([this, interfaces, back = thread_.back()] {
        Seen seen;
        for (std::string const& i : interfaces)
            if (auto const link = net::find_link(i); link && *link && (*link)->carrier && (*link)->resolves) seen.links[i] = **link;
        if (auto macs = net::local_macs()) seen.macs = std::move(*macs);
        back->post([this, seen = std::move(seen)]() mutable { looked(std::move(seen)); });
    });
}

void AddressKeeper::looked(Seen seen) {
    looking_ = false;
    std::erase(seen.macs, Mac{});  // loopback's
    std::sort(seen.macs.begin(), seen.macs.end());
    seen.macs.erase(std::unique(seen.macs.begin(), seen.macs.end()), seen.macs.end());
    if (!seen.macs.empty() && seen.macs != own_macs_) {
        own_macs_ = std::move(seen.macs);
        callbacks_.own_macs_changed();
    }
    std::set<Place> wanted;
    for (auto const& [name, kept] : kept_)
        if (kept.spec.ask && seen.links.contains(kept.spec.interface)) wanted.insert({kept.spec.interface, kept.spec.address.address.v6});
    std::erase_if(ears_, [&](auto const& e) { return !wanted.contains(e.first) || e.second.listener->link() != seen.links.at(e.first.first); });
    for (Place const& place : wanted) {
        if (!ears_.contains(place)) {
            auto opened = net::Listener::open(seen.links.at(place.first), place.second);
            if (!opened) continue;  // tried again at the next round
            Ear ear{std::move(*opened), {}};
            ear.watch = loop_.on_readable(ear.listener->fd(), [this, place] { heard(place); });
            ears_.emplace(place, std::move(ear));
        }
        filter(place, ears_.at(place));
    }
    ask_all();
    if (std::exchange(look_again_, false)) round();
}

// What this node's own interfaces say stays in the kernel; what the peer's say, too, unless one of the addresses is online here.
void AddressKeeper::filter(Place const& place, Ear& ear) const {
    std::vector<IpAddress> addresses;
    bool here = false;
    for (auto const& [name, kept] : kept_) {
        if (!kept.spec.ask || Place{kept.spec.interface, kept.spec.address.address.v6} != place) continue;
        addresses.push_back(kept.spec.address.address);
        here = here || kept.online_since != forever;
    }
    std::vector<Mac> but_from = own_macs_;
    if (!here) but_from.insert(but_from.end(), peer_macs_.begin(), peer_macs_.end());
    ear.listener->listen_for(addresses, but_from);
}

void AddressKeeper::ask_all() {
    for (auto const& [name, kept] : kept_) {
        auto const ear = ears_.find({kept.spec.interface, kept.spec.address.address.v6});
        if (kept.spec.ask && ear != ears_.end()) (void)ear->second.listener->ask(kept.spec.address.address);
    }
}

void AddressKeeper::heard(Place const& place) {
    auto const ear = ears_.find(place);
    if (ear == ears_.end()) return;
    for (int i = 0; i < 32; ++i) {  // a flood of claims must not hold up the loop
        auto const claim = ear->second.listener->next();
        if (!claim) return;
        for (auto const& [name, kept] : kept_)
            if (kept.spec.interface == place.first && kept.spec.address.address == claim->address) judge(kept, claim->mac);
    }
}

// ---- judging ------------------------------------------------------------------------------------------------------------------------

bool AddressKeeper::innocent(Kept const& kept, Mac const& mac, Instant now) const {
    if (!may_look() || own_macs_.empty() || contains(own_macs_, mac)) return true;
    if (kept.online_since != forever) return now - kept.online_since < pace_.settled;
    // It may be online on the peer, and until its interfaces are known any machine may be the peer.
    return peer_macs_.empty() || contains(peer_macs_, mac);
}

void AddressKeeper::judge(Kept const& kept, Mac const& mac) {
    Instant const now = loop_.now().mono;
    if (innocent(kept, mac, now)) return;
    switch (conflicts_.seen(kept.spec.resource, mac, now)) {
    case net::Conflicts::Word::known: break;
    case net::Conflicts::Word::suspected:
        if (again_timer_) break;
        again_timer_ = loop_.at(now + ask_soon, [this] {
            thread_.back()->post([this] {
                again_timer_.reset();
                ask_all();
            });
        });
        break;
    case net::Conflicts::Word::begun:
        callbacks_.record({Severity::critical, kept.spec.group, kept.spec.resource, describe(kept, mac), EventKind::stranger});
        break;
    }
}

std::string AddressKeeper::describe(Kept const& kept, Mac const& mac) const {
    std::string const address = format_address(kept.spec.address.address);
    bool const peers = contains(peer_macs_, mac);
    std::string rightful;
    if (kept.online_since != forever) {
        auto const ear = ears_.find({kept.spec.interface, kept.spec.address.address.v6});
        rightful = ear == ears_.end() ? "this node" : "this node (" + net::format_mac(ear->second.listener->link().mac) + ")";
    } else {
        rightful = peer_;
        std::string macs;
        for (Mac const& m : peer_macs_) macs += (macs.empty() ? "" : " or ") + net::format_mac(m);
        if (peer_macs_.size() <= 4) rightful += " (" + macs + ")";
    }
    std::string const other = peers ? "node " + peer_ + ", " + net::format_mac(mac) + "," : "another machine, " + net::format_mac(mac) + ",";
    std::string const todo = peers ? "take it off there (ip address del) and look why it stands there"
                                   : "find that machine (the switch's table of MACs knows its port) and take the address off it";
    return fmt::format("address {} of {}: {} answers for it on {} besides {}: clients may reach the wrong machine; {}", address,
                       kept.spec.resource, other, kept.spec.interface, rightful, todo);
}

void AddressKeeper::tell_what_is_over() {
    for (auto const& c : conflicts_.over(loop_.now().mono)) {
        auto const it = kept_.find(c.resource);
        if (it == kept_.end()) continue;
        callbacks_.record({Severity::info, it->second.spec.group, c.resource,
                           fmt::format("address {}: {} doesn't answer for it any more", format_address(it->second.spec.address.address),
                                       net::format_mac(c.mac)),
                           EventKind::stranger_gone});
        if (it->second.online_since != forever) callbacks_.announce(c.resource, burst);  // who believed it is corrected
    }
}

// ---- the start ----------------------------------------------------------------------------------------------------------------------

Result<std::vector<std::string>> sweep_addresses(std::vector<AddressKeeper::Address> const& addresses) {
    std::vector<std::string> done;
    for (auto const& a : addresses) {
        std::string const text = format_address(a.address.address);
        auto const stands = net::find_address(a.address.address);
        if (!stands) return Error{fmt::format("{} of {} can't be looked for on this node: {}", text, a.resource, stands.error())};
        for (auto const& at : *stands) {
            std::string const interface = net::link_name(at.link);
            auto const removed = net::remove_address(a.address.address, at.prefix, at.link);
            if (!removed)
                return Error{fmt::format("{}/{} of {} stands on {}, left by an earlier clusterd, and can't be removed: {}; run `ip address del {}/{} dev {}`",
                                         text, at.prefix, a.resource, interface, removed.error(), text, at.prefix, interface)};
            done.push_back(fmt::format("{}/{} of {} stood on {}, where it wasn't online: removed. An earlier clusterd left it, or somebody added it by hand",
                                       text, at.prefix, a.resource, interface));
        }
    }
    return done;
}

}  // namespace clusterd
