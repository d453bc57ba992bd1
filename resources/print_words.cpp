#include "resources/print_words.hpp"

#include <algorithm>

namespace clusterd {

namespace {

std::string_view next_line(std::string_view& rest) {
    std::size_t const end = std::min(rest.find('\n'), rest.size());
    std::string_view const line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return line;
}

std::string trimmed(std::string_view text) {
    std::size_t const from = text.find_first_not_of(" \t\r");
    return from == std::string_view::npos ? "" : std::string(text.substr(from, std::min<std::size_t>(text.find_last_not_of(" \t\r") - from + 1, 300)));
}

bool begins(std::string_view line, std::string const& with) { return line.substr(0, with.size()) == with; }

}  // namespace

QueueSeen read_lpstat(std::string_view output, std::string_view queue) {
    QueueSeen seen;
    std::string const printer = "printer " + std::string(queue) + " ", name = std::string(queue) + " ";
    bool ill = false;  // the lines that follow say why
    while (!output.empty()) {
        std::string_view const line = next_line(output);
        if (line == "scheduler is running") {
            seen.server = true;
        } else if (begins(line, printer)) {
            seen.there = true;
            seen.enabled = line.find(" disabled since ") == std::string_view::npos;
            ill = !seen.enabled;
        } else if (begins(line, name + "accepting requests")) {
            seen.there = seen.accepting = true;
            ill = false;
        } else if (begins(line, name + "not accepting requests")) {
            seen.there = true;
            ill = true;
        } else if (!line.empty() && (line[0] == '\t' || line[0] == ' ')) {
            std::string const why = trimmed(line);
            if (ill && seen.reason.empty() && why != "reason unknown") seen.reason = why;
        }
    }
    return seen;
}

int count_jobs(std::string_view output, std::string_view queue) {
    int jobs = 0;
    while (!output.empty()) {
        std::string_view const line = next_line(output);
        if (line.size() <= queue.size() + 1 || line.substr(0, queue.size()) != queue || line[queue.size()] != '-') continue;
        char const digit = line[queue.size() + 1];
        jobs += digit >= '0' && digit <= '9';
    }
    return jobs;
}

}  // namespace clusterd
