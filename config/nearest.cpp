// See nearest.hpp.
#include "config/nearest.hpp"

#include <algorithm>
#include <cctype>

namespace clusterd {

namespace {
constexpr std::size_t longest = 128;  // longer names are no typing mistakes, and the work is quadratic

int lower(char c) {
    return std::tolower(static_cast<unsigned char>(c));
}
}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            bool const same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0U : 1U)});
            bool const swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
            if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before.swap(last);
        last.swap(row);
    }
    return last[b.size()];
}

std::string_view nearest(std::string_view name, std::vector<std::string_view> const& candidates) {
    std::string_view best;
    std::size_t best_distance = 0;
    if (name.empty() || name.size() > longest) return best;
    for (std::string_view candidate : candidates) {
        if (candidate.empty() || candidate.size() > longest) continue;
        std::size_t const allowed = std::max<std::size_t>(2, std::max(name.size(), candidate.size()) / 3);
        std::size_t const apart = std::max(name.size(), candidate.size()) - std::min(name.size(), candidate.size());
        if (apart > allowed) continue;
        std::size_t const distance = edit_distance(name, candidate);
        if (distance > allowed || distance >= std::max(name.size(), candidate.size())) continue;
        if (best.empty() || distance < best_distance) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view name, std::vector<std::string_view> const& candidates) {
    std::string_view const near = nearest(name, candidates);
    return near.empty() ? std::string() : "; did you mean \"" + std::string(near) + "\"?";
}

}  // namespace clusterd
