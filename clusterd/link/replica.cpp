// See replica.hpp. A frame is u8 kind, then: the message (encode_sync), a configuration's XML, or what the shell sent.
#include "clusterd/link/replica.hpp"

#include "clusterd/wire/bytes.hpp"
#include "clusterd/wire/config_hash.hpp"
#include "clusterd/wire/sync.hpp"

#include <deque>

namespace clusterd {
namespace {

enum Kind : char { message = 1, configuration = 2, aux = 3 };
constexpr std::size_t remembered = 4;  // configurations that went over the channel and may be named by a decision soon

std::string framed(Kind kind, std::string_view payload) {
    std::string frame;
    frame.reserve(1 + payload.size());
    frame.push_back(kind);
    frame.append(payload);
    return frame;
}

}  // namespace

struct Replica::Impl {
    Callbacks callbacks;
    std::set<Hash> peer_has;       // in this session: sent to it, or named by it
    std::deque<ConfigPtr> recent;  // sent or received; newest last
    SyncChannel channel;           // last: it may call back from its constructor

    Impl(Loop& loop, Spec const& spec, NodeIndex self, Incarnation incarnation, Key const& key, Callbacks c)
        : callbacks(std::move(c)), channel(loop, spec, self, incarnation, key, channel_callbacks()) {}

    SyncChannel::Callbacks channel_callbacks() {
        SyncChannel::Callbacks c;
        c.up = [this](Incarnation peer) {
            peer_has.clear();
            callbacks.up(peer);
        };
        c.down = [this](std::string const& reason) { callbacks.down(reason); };
        c.message = [this](std::string_view frame) { take(frame); };
        c.note = callbacks.note;
        c.link_up = callbacks.link_up;
        return c;
    }

    void note(Severity severity, std::string text) {
        if (callbacks.note) callbacks.note(severity, std::move(text));
    }

    bool send(SyncMessage const& m) {
        if (!channel.up()) return false;
        DecisionPtr const decision = decision_in(m);
        if (decision && decision->config && !send_configuration(decision->config)) return false;
        return channel.send(framed(Kind::message, encode_sync(m)));
    }

    void remember(ConfigPtr config) {
        recent.push_back(std::move(config));
        if (recent.size() > remembered) recent.pop_front();
    }

    bool send_configuration(ConfigPtr const& pointer) {
        Config const& config = *pointer;
        if (peer_has.contains(config.hash)) return true;
        if (config.xml.size() > wire::max_xml) {
            note(Severity::error, "the configuration is " + std::to_string(config.xml.size()) +
                                      " bytes long and can't be sent to the peer: the limit is " + std::to_string(wire::max_xml));
            return false;
        }
        if (!channel.send(framed(Kind::configuration, config.xml))) return false;
        peer_has.insert(config.hash);
        if (!find(config.hash)) remember(pointer);  // the peer won't send it back with its own decisions
        return true;
    }

    void take(std::string_view frame) {
        if (frame.empty()) return note(Severity::error, "the peer sent an empty sync frame; it is ignored");
        std::string_view const payload = frame.substr(1);
        switch (frame[0]) {
            case Kind::message:
                return take_message(payload);
            case Kind::configuration:
                return take_configuration(payload);
            case Kind::aux:
                return callbacks.aux(std::string(payload));
            default:
                note(Severity::error, "the peer sent a sync frame of unknown kind; install the same clusterd on both nodes");
        }
    }

    void take_configuration(std::string_view xml) {
        if (xml.size() > wire::max_xml)
            return note(Severity::error, "the peer sent a configuration that is too long; it is ignored");
        Hash const hash = hash_config(xml);
        peer_has.insert(hash);
        if (find(hash)) return;
        auto parsed = callbacks.parse(std::string(xml));
        if (!parsed || !*parsed) {
            note(Severity::error, "the configuration " + to_hex(hash).substr(0, 12) + " that the peer sent can't be used here: " +
                                      (parsed ? "nothing came of it" : parsed.error()) +
                                      "; install the same clusterd on both nodes");
            return;
        }
        remember(*parsed);
    }

    ConfigPtr find(Hash const& hash) const {
        if (ConfigPtr const config = callbacks.known(hash)) return config;
        for (ConfigPtr const& config : recent)
            if (config->hash == hash) return config;
        return nullptr;
    }

    void take_message(std::string_view bytes) {
        auto decoded = decode_sync(bytes);
        if (!decoded) return note(Severity::error, "from the peer: " + decoded.error());
        if (decoded->decision) {
            DecodedDecision& d = *decoded->decision;
            if (d.config != Hash{}) {
                d.decision.config = find(d.config);
                if (!d.decision.config)
                    return note(Severity::error, "decision " + std::to_string(d.decision.id.term) + "." +
                                                     std::to_string(d.decision.id.index) + " of the peer's names configuration " +
                                                     to_hex(d.config).substr(0, 12) +
                                                     ", which isn't to be had here; the decision is not stored");
                peer_has.insert(d.config);
            }
            set_decision(decoded->message, std::make_shared<Decision const>(std::move(d.decision)));
        }
        if (auto* forwarded = std::get_if<sync::CommandForward>(&decoded->message); forwarded && forwarded->command.config) {
            auto const config = callbacks.parse(forwarded->command.config->xml);
            if (!config) note(Severity::error, "from the peer: a configuration to apply can't be read here: " + config.error());
            forwarded->command.config = config ? *config : nullptr;  // the core refuses it
        }
        callbacks.message(std::move(decoded->message));
    }
};

Replica::Replica(Loop& loop, Spec const& spec, NodeIndex self, Incarnation incarnation, Key const& cluster_key, Callbacks callbacks)
    : impl_(std::make_unique<Impl>(loop, spec, self, incarnation, cluster_key, std::move(callbacks))) {}
Replica::~Replica() = default;
Replica::Replica(Replica&&) noexcept = default;
Replica& Replica::operator=(Replica&&) noexcept = default;

bool Replica::send(SyncMessage const& message) {
    return impl_->send(message);
}
bool Replica::send_aux(std::string_view frame) {
    return impl_->channel.send(framed(Kind::aux, frame));
}
bool Replica::up() const {
    return impl_->channel.up();
}
SyncInfo Replica::info() const {
    return impl_->channel.info();
}

}  // namespace clusterd
