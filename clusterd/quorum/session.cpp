#include "clusterd/quorum/session.hpp"

#include "clusterd/wire/config_hash.hpp"

#include <algorithm>
#include <thread>

namespace clusterd {

namespace {

constexpr int tries = 3;
constexpr auto between_tries = std::chrono::milliseconds(2);

constexpr NodeIndex both_nodes[] = {NodeIndex::a, NodeIndex::b};

std::string node_text(NodeIndex n) { return n == NodeIndex::a ? "node 1" : "node 2"; }
std::string id_text(DecisionId id) { return "(" + std::to_string(id.term) + ", " + std::to_string(id.index) + ")"; }

}  // namespace

DiskSession::DiskSession(Settings settings) : settings_(std::move(settings)), key_(subkey(settings_.key, Purpose::quorum_disk)) {}

Result<Done> DiskSession::open() {
    if (file_) return Done{};
    uninitialised_ = false;
    auto file = settings_.opener(settings_.path, DiskAccess::read_write);
    if (!file) return Error{file.error() + "; is the path right? A new disk wants: clusterctl quorum init " + settings_.path + " --cluster " + settings_.cluster};
    auto const bytes = (*file)->facts().bytes;
    BlockBuffer block(disk_block);
    if (bytes >= disk_block)
        if (auto const got = (*file)->read(0, block); !got) return Error{got.error()};
    if (auto const good = check_header(block.view()); !good) return good;
    std::uint64_t const needed = std::max<std::uint64_t>(min_disk_bytes, header_.geometry.total());
    if (bytes < needed) return about("it has " + std::to_string(bytes) + " bytes, " + std::to_string(needed) + " are needed: it was made smaller, or it is a wrong device");
    file_ = std::move(*file);
    return Done{};
}

Result<Done> DiskSession::check_header(std::string_view block) {
    uninitialised_ = !looks_like_disk_header(block);
    if (uninitialised_)
        return about("it isn't initialised; run: clusterctl quorum init " + settings_.path + " --cluster " + settings_.cluster);
    auto header = decode_disk_header(block);
    if (!header) return about(header.error() + "; look at it with: clusterctl quorum show " + settings_.path);
    if (header->cluster != settings_.cluster)
        return about("it belongs to the cluster '" + header->cluster + "', not to '" + settings_.cluster + "'; check <quorum disk=...>");
    if (expected_ != Uuid{} && header->uuid != expected_)
        return about("it belongs to another cluster of the same name (" + uuid_text(header->uuid) + ", expected " + uuid_text(expected_) + "); check <quorum disk=...>");
    header_ = std::move(*header);
    return Done{};
}

Result<DiskSession::Slots> DiskSession::read_front_once() {
    BlockBuffer front(disk_front_bytes);
    if (auto const got = file_->read(0, front); !got) return about(got.error());
    if (auto const good = check_header(front.view().substr(0, disk_block)); !good) return Error{good.error()};
    Slots slots;
    slots.disk = header_.disk;
    slots.cluster = header_.uuid;
    for (auto const node : both_nodes) {
        auto slot = decode_slot(front.view().substr(header_.geometry.slot(node), slot_bytes), header_.binding(), node, &key_);
        if (!slot && slot.error().find("install the same clusterd") != std::string::npos) return about(slot.error());
        if (!slot)
            return about(slot.error() + ". Both nodes need the same key; if the disk is damaged, stop clusterd on both nodes and run: clusterctl quorum init " +
                         settings_.path + " --cluster " + settings_.cluster + " --force " + settings_.path);
        if (auto const good = check_not_back(node, *slot); !good) return Error{good.error()};
        (node == settings_.self ? slots.own : slots.peer) = *slot;
    }
    return slots;
}

// A slot that is bad, or older than it was, may be one that is being written or read over another path: so it is read again.
Result<DiskSession::Slots> DiskSession::read_front() {
    for (int n = 1;; ++n) {
        auto slots = read_front_once();
        if (slots) {
            remember(settings_.self, slots->own);
            remember(other(settings_.self), slots->peer);
            return slots;
        }
        if (n == tries) {
            close();  // the next request opens it again: a device that was taken away may be back under the same name
            return slots;
        }
        std::this_thread::sleep_for(between_tries);
    }
}

Result<Done> DiskSession::check_not_back(NodeIndex node, Slot const& slot) const {
    Seen const& seen = seen_[at(node)];
    if (seen.of != header_.disk) return Done{};
    std::string const whose = "the slot of " + node_text(node);
    if (node == settings_.self && attempted_.of == header_.disk && slot.incarnation != attempted_.incarnation && slot.incarnation != seen.incarnation)
        return about(whose + ", this node's own, isn't what was written: the disk lost the write, or a second clusterd runs as this node");
    if (slot.incarnation == 0 && seen.incarnation != 0) return about(whose + " was wiped: the disk lost a write or was cleared");
    bool const older = slot.alone_term < seen.alone_term || (slot.incarnation == seen.incarnation && slot.beat < seen.beat);
    if (older) return about(whose + " is older than it was (beat " + std::to_string(slot.beat) + " after " + std::to_string(seen.beat) + "): the disk lost a write or was set back to an old copy. Once its storage is sound, and both nodes are up: systemctl reload clusterd on both");
    return Done{};
}

void DiskSession::remember(NodeIndex node, Slot const& slot) { seen_[at(node)] = Seen{header_.disk, slot.incarnation, slot.beat, slot.alone_term}; }

Result<DiskSession::Slots> DiskSession::read_slots() {
    if (auto const opened = open(); !opened) return Error{opened.error()};
    auto slots = read_front();
    if (slots) accepted_ = slots->disk;
    return slots;
}

Result<Done> DiskSession::may_write(Slot const& mine) const {
    if (accepted_ != 0 && header_.disk != accepted_) return about("it was initialised anew; it is read before anything is written to it");
    auto const pending = file_->facts().command_time - (settings_.clock() - Instant{});
    if (pending > Duration{})
        return about("commands from before the boot may still be pending in the device; not written for another " + std::to_string(to_ms(pending)) + " ms");
    Seen const& seen = seen_[at(settings_.self)];
    Term const ever = std::max(seen.alone_term, attempted_.of == header_.disk ? attempted_.alone_term : 0);
    if (mine.alone_term < ever)
        return about("my slot says that I was alone in term " + std::to_string(ever) + ", so it isn't overwritten with " + std::to_string(mine.alone_term));
    bool const stuck = (mine.incarnation == seen.incarnation && mine.beat <= seen.beat) ||
                       (attempted_.of == header_.disk && mine.incarnation == attempted_.incarnation && mine.beat <= attempted_.beat);
    if (stuck) return about("beat " + std::to_string(mine.beat) + " of my slot was written before");
    return Done{};
}

Result<Slot> DiskSession::cycle(Slot const& mine, Instant& started) {
    started = settings_.clock();
    if (auto const opened = open(); !opened) return Error{opened.error()};
    if (seen_[at(settings_.self)].of != header_.disk)  // a new process, or a new disk: my own slot is read before it is written
        if (auto const front = read_front(); !front) return Error{front.error()};
    if (auto const allowed = may_write(mine); !allowed) return Error{allowed.error()};
    BlockBuffer const block(encode_slot(mine, header_.binding(), settings_.self, key_));
    attempted_ = Seen{header_.disk, mine.incarnation, mine.beat, mine.alone_term};
    started = settings_.clock();  // the permit counts from here
    if (auto const written = file_->write(header_.geometry.slot(settings_.self), block); !written) {
        close();
        return about(written.error());
    }
    remember(settings_.self, mine);  // from now on an older one there is a lost write
    auto const front = read_front();
    if (!front) return Error{front.error()};
    if (front->own != mine) return about("my slot isn't what was written: the disk lost the write, or a second clusterd runs as this node");
    return front->peer;
}

std::uint64_t DiskSession::offset_of(NodeIndex node, AreaKind kind, std::uint8_t area) const {
    return kind == AreaKind::decision ? header_.geometry.decision(node, area) : header_.geometry.config(node, area);
}
std::uint64_t DiskSession::size_of(AreaKind kind) const {
    return kind == AreaKind::decision ? header_.geometry.decision_area : header_.geometry.config_area;
}

Result<std::optional<AreaHeader>> DiskSession::area_header(NodeIndex node, AreaKind kind, std::uint8_t area) {
    BlockBuffer block(disk_block);
    if (auto const got = file_->read(offset_of(node, kind, area), block); !got) return about(got.error());
    std::string_view const head = block.view().substr(0, area_header_bytes);
    if (all_zero(head)) return std::optional<AreaHeader>{};
    auto header = decode_area_header(head, size_of(kind), header_.binding(), node, &key_);
    if (header && (header->kind != kind || header->area != area)) header = Error{"it belongs to another place"};
    if (!header) return about("area " + std::to_string(area) + " of " + node_text(node) + ": " + header.error());
    return std::optional<AreaHeader>{*header};
}

Result<std::string> DiskSession::area_content(NodeIndex node, AreaHeader const& header) {
    BlockBuffer bytes(area_read_bytes(header));
    if (auto const got = file_->read(offset_of(node, header.kind, header.area), bytes); !got) return about(got.error());
    auto const content = decode_area_content(bytes.view(), header);
    if (!content) return about("area " + std::to_string(header.area) + " of " + node_text(node) + ": " + content.error());
    return std::string(*content);
}

// Read back at once: a write that the device took and lost must not count as a vote.
Result<Done> DiskSession::write_and_prove(std::uint64_t offset, std::string const& bytes) {
    BlockBuffer const out(bytes);
    if (auto const written = file_->write(offset, out); !written) {
        close();
        return about(written.error());
    }
    BlockBuffer back(out.size());
    if (auto const got = file_->read(offset, back); !got) return about(got.error());
    if (back.view() != out.view()) return about("what was written at " + std::to_string(offset) + " isn't there: the device loses writes");
    return Done{};
}

Result<Done> DiskSession::store_config(Config const& config, Slot const& own) {
    if (config_there_of_ != header_.disk) config_there_ = {}, config_there_of_ = header_.disk;
    if (std::count(config_there_.begin(), config_there_.end(), std::optional<Hash>(config.hash)) > 0) return Done{};

    std::optional<Hash> kept;  // what the newest slot's decision names
    if (own.newest.exists()) {
        auto const decision = area_header(settings_.self, AreaKind::decision, own.area);
        if (decision && *decision) kept = (*decision)->config;
    }
    int free = -1;  // an empty or damaged one first
    bool free_is_sound = false;
    for (std::uint8_t area = 0; area < 2; ++area) {
        auto const header = area_header(settings_.self, AreaKind::config, area);
        bool const sound = header && *header;
        if (sound && (*header)->config == config.hash)
            if (area_content(settings_.self, **header)) {
                config_there_[area] = config.hash;
                return Done{};
            }
        bool const named = sound && kept && (*header)->config == *kept;
        if (!named && (free < 0 || (!sound && free_is_sound))) free = area, free_is_sound = sound;
    }
    if (free < 0) return about("both configuration areas hold the configuration in use");
    std::uint64_t const room = size_of(AreaKind::config) - area_header_bytes;
    if (config.xml.size() > room)
        return about("the configuration has " + std::to_string(config.xml.size()) + " bytes, an area holds " + std::to_string(room) +
                     "; use a quorum disk of 64 MiB or more, whose areas are larger");
    auto const area = static_cast<std::uint8_t>(free);
    config_there_[area].reset();
    AreaHeader header;
    header.kind = AreaKind::config;
    header.area = area;
    header.config = config.hash;
    auto const written = write_and_prove(offset_of(settings_.self, AreaKind::config, area), encode_area(header, config.xml, header_.binding(), settings_.self, key_));
    if (written) config_there_[area] = config.hash;
    return written;
}

Result<Done> DiskSession::store_decision(Decision const& decision, std::uint8_t area) {
    if (area > 1) return about("there is no decision area " + std::to_string(area));
    if (auto const opened = open(); !opened) return opened;
    auto const front = read_front();
    if (!front) return Error{front.error()};
    if (accepted_ != 0 && header_.disk != accepted_) return about("it was initialised anew; it is read before anything is written to it");
    if (front->own.newest.exists() && front->own.area == area && front->own.newest != decision.id)
        return about("decision " + id_text(decision.id) + " isn't written over " + id_text(front->own.newest) + ", which my slot names");
    std::string const content = encode_decision(decision);
    std::uint64_t const room = size_of(AreaKind::decision) - area_header_bytes;
    if (content.size() > room)
        return about("decision " + id_text(decision.id) + " has " + std::to_string(content.size()) + " bytes, an area holds " + std::to_string(room) +
                     "; use a quorum disk of 64 MiB or more, whose areas are larger");
    if (decision.config)
        if (auto const stored = store_config(*decision.config, front->own); !stored) return stored;
    AreaHeader header;
    header.area = area;
    header.id = decision.id;
    if (decision.config) header.config = decision.config->hash;
    return write_and_prove(offset_of(settings_.self, AreaKind::decision, area), encode_area(header, content, header_.binding(), settings_.self, key_));
}

Result<DecodedDecision> DiskSession::named_decision(NodeIndex node, Slot const& slot) {
    std::string const what = "the decision " + id_text(slot.newest) + " that the slot of " + node_text(node) + " names ";
    auto const header = area_header(node, AreaKind::decision, slot.area);
    if (!header) return Error{header.error()};
    if (!*header) return about(what + "isn't there: area " + std::to_string(slot.area) + " is empty");
    if ((*header)->id != slot.newest) return about(what + "isn't there: area " + std::to_string(slot.area) + " holds " + id_text((*header)->id));
    auto const content = area_content(node, **header);
    if (!content) return Error{content.error()};
    auto decoded = decode_decision(*content);
    if (!decoded) return about(what + "can't be read: " + decoded.error());
    if (decoded->decision.id != slot.newest || decoded->config != (*header)->config) return about(what + "contradicts its own area");
    return decoded;
}

Result<ConfigPtr> DiskSession::find_config(Hash const& hash, NodeIndex first) {
    std::string found = "none of the configuration areas holds it";
    for (auto const node : {first, other(first)})
        for (std::uint8_t area = 0; area < 2; ++area) {
            auto const header = area_header(node, AreaKind::config, area);
            if (!header || !*header || (*header)->config != hash) continue;
            auto content = area_content(node, **header);
            if (content && hash_config(*content) == hash) return settings_.parse_config(std::move(*content));
            found = content ? "its area holds something else" : content.error();
        }
    return about("the configuration " + to_hex(hash).substr(0, 12) + " of the newest decision can't be read: " + found);
}

Result<DecisionPtr> DiskSession::load_decisions_once() {
    auto const front = read_front();
    if (!front) return Error{front.error()};
    std::optional<DecodedDecision> newest;
    NodeIndex from = settings_.self;
    for (auto const node : both_nodes) {
        Slot const& slot = node == settings_.self ? front->own : front->peer;
        if (!slot.newest.exists()) continue;
        auto decoded = named_decision(node, slot);
        if (!decoded) return Error{decoded.error()};
        if (newest && newest->decision.id >= decoded->decision.id) continue;
        newest = std::move(*decoded);
        from = node;
    }
    if (!newest) return DecisionPtr{};
    if (newest->config != Hash{}) {
        auto config = find_config(newest->config, from);
        if (!config) return Error{config.error()};
        newest->decision.config = *config;
    }
    return DecisionPtr(std::make_shared<Decision const>(std::move(newest->decision)));
}

// The other node may go on to its next area while this reads: then the slot has changed too, and all is read again.
Result<DecisionPtr> DiskSession::load_decisions() {
    for (int n = 1;; ++n) {
        if (auto const opened = open(); !opened) return Error{opened.error()};
        auto decision = load_decisions_once();
        if (decision || n == tries) return decision;
        std::this_thread::sleep_for(between_tries);
    }
}

}  // namespace clusterd
