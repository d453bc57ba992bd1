// See problems.hpp, and `format` of parse.hpp.
#include "config/problems.hpp"

#include <algorithm>

namespace clusterd {

void ProblemList::add(Problem problem) {
    if (!problem.warning) ++errors_;
    if (full()) {
        ++dropped_;
        // An error must never be lost behind warnings: it takes the place of one.
        auto const warning = std::find_if(problems_.begin(), problems_.end(), [](Problem const& p) { return p.warning; });
        if (!problem.warning && warning != problems_.end()) *warning = std::move(problem);
        return;
    }
    problems_.push_back(std::move(problem));
}

std::vector<Problem> ProblemList::take() {
    std::stable_sort(problems_.begin(), problems_.end(), [](Problem const& a, Problem const& b) { return a.line < b.line; });
    if (dropped_ > 0) {
        problems_.push_back(
            {problems_.back().line, errors_ == 0, "and " + std::to_string(dropped_) + " more problems; correct these first"});
    }
    return std::move(problems_);
}

std::string quoted(std::string_view value) {
    static constexpr std::size_t longest = 60;
    std::string text = "\"";
    std::size_t end = std::min(value.size(), longest);
    while (end < value.size() && end > 0 && (static_cast<unsigned char>(value[end]) & 0xc0) == 0x80) --end;  // whole characters
    for (char c : value.substr(0, end)) text += static_cast<unsigned char>(c) < ' ' || c == 0x7f ? '?' : c;
    return text + (end < value.size() ? "...\"" : "\"");
}

std::string format(Problem const& problem, std::string const& file_name) {
    return file_name + ":" + std::to_string(problem.line) + ": " + (problem.warning ? "warning: " : "") + problem.message;
}

}  // namespace clusterd
