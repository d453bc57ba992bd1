#include "clusterd/shell/measured.hpp"

#include <algorithm>

namespace clusterd {

namespace {

constexpr std::size_t newest = 50;
constexpr std::string_view online_word = "online ", offline_word = "offline on ";

using Samples = std::vector<Duration>;

void put(Samples samples, auto const& into) {
    if (samples.empty()) return;
    std::sort(samples.begin(), samples.end());
    into(samples.front(), samples[samples.size() / 2], samples.back());
}

}  // namespace

Measured measure(std::vector<FailoverRecord> const& records, Duration permit) {
    std::map<std::string, Samples> online, offline;
    Samples hand_over, takeover;
    Measured m;
    for (auto const& f : records.size() > newest ? std::vector(records.end() - newest, records.end()) : records) {
        ++m.records;
        bool moved = false;
        Duration before_start{}, decide{};
        for (auto const& p : f.phases) {
            Duration const took = std::chrono::milliseconds(std::max<std::int64_t>(p.ms, 0));
            if (p.name.starts_with(online_word)) {
                online[p.name.substr(online_word.size())].push_back(took);
            } else if (p.name.starts_with(offline_word)) {
                moved = true;
                offline[f.group].push_back(took);
            } else {
                before_start += took;
                if (p.name == "decide") decide = took;
            }
        }
        if (moved) hand_over.push_back(decide);
        else if (!f.from.empty()) takeover.push_back(before_start);
    }
    auto const fill = [&](auto member, std::map<std::string, Samples> const& all) {
        for (auto const& [name, samples] : all)
            put(samples, [&, key = name](Duration least, Duration typical, Duration most) { (m.least.*member)[key] = least, (m.typical.*member)[key] = typical, (m.most.*member)[key] = most; });
    };
    fill(&Durations::online, online);
    fill(&Durations::offline, offline);
    put(hand_over, [&](Duration least, Duration typical, Duration most) { m.least.hand_over = least, m.typical.hand_over = typical, m.most.hand_over = most; });
    m.least.until_takeover = m.typical.until_takeover = m.most.until_takeover = permit;
    put(takeover, [&](Duration least, Duration typical, Duration most) { m.least.until_takeover = least, m.typical.until_takeover = typical, m.most.until_takeover = most; });
    m.takeover = !takeover.empty();
    for (auto const& [name, samples] : online) m.online.insert(name);
    return m;
}

}  // namespace clusterd
