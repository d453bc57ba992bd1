// See scan.hpp. One pass, a stack of at most config_max_depth names.
#include "config/scan.hpp"

#include "config/problems.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace clusterd {

namespace {

bool blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
bool name_start(char c) {
    return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool name_char(char c) {
    return name_start(c) || std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == ':';
}

// Length of the UTF-8 character at `at`, 0 where there is none (overlong, surrogate, too high, cut off).
std::size_t utf8_length(std::string_view text, std::size_t at) {
    auto const byte = [&](std::size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U; };
    auto const tail = [&](std::size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
    unsigned const b = byte(0);
    if (b < 0x80) return 1;
    if (b >= 0xc2 && b <= 0xdf) return tail(1) ? 2 : 0;
    if (b >= 0xe0 && b <= 0xef) {
        bool const bad = (b == 0xe0 && byte(1) < 0xa0) || (b == 0xed && byte(1) > 0x9f);
        return !bad && tail(1) && tail(2) ? 3 : 0;
    }
    if (b >= 0xf0 && b <= 0xf4) {
        bool const bad = (b == 0xf0 && byte(1) < 0x90) || (b == 0xf4 && byte(1) > 0x8f);
        return !bad && tail(1) && tail(2) && tail(3) ? 4 : 0;
    }
    return 0;
}

// "lt", "#x41": one of XML's own five, or a character that XML allows. The dot of &...; and & are already off.
bool reference_allowed(std::string_view name) {
    for (std::string_view known : {"lt", "gt", "amp", "quot", "apos"}) {
        if (name == known) return true;
    }
    if (name.size() < 2 || name[0] != '#') return false;
    bool const hex = name[1] == 'x';
    std::string_view const number = name.substr(hex ? 2 : 1);
    std::uint32_t code = 0;
    auto const [end, ec] = std::from_chars(number.data(), number.data() + number.size(), code, hex ? 16 : 10);
    if (ec != std::errc{} || number.empty() || end != number.data() + number.size()) return false;
    if (code < 0x20) return code == 9 || code == 10 || code == 13;
    return code != 0x7f && (code < 0xd800 || code > 0xdfff) && code < 0xfffe;
}

class Scan {
public:
    explicit Scan(std::string_view xml) : xml_(xml) {}

    std::optional<Problem> run() {
        if (xml_.size() > config_max_bytes) {
            return Problem{1, false,
                           "the file has " + std::to_string(xml_.size()) + " bytes; at most " + std::to_string(config_max_bytes) +
                               " are read"};
        }
        if (!check_characters()) return problem_;
        if (starts("\xef\xbb\xbf")) skip(3);
        if (starts("<?xml") && at_ + 5 < xml_.size() && blank(xml_[at_ + 5]) && !declaration()) return problem_;
        while (at_ < xml_.size() && !problem_) {
            if (xml_[at_] == '<')
                markup();
            else if (open_.empty() && !blank(xml_[at_]))
                fail("text outside of <cluster>");
            else if (xml_[at_] == '&')
                reference();
            else
                skip(1);
        }
        if (problem_) return problem_;
        if (!open_.empty())
            fail("<" + std::string(open_.back().name) + "> of line " + std::to_string(open_.back().line) + " is never closed");
        else if (elements_ == 0)
            fail("there is no element; a configuration is <cluster name=\"...\"> ... </cluster>");
        return problem_;
    }

private:
    struct Open {
        std::string_view name;
        int line;
    };

    bool starts(std::string_view what) const { return xml_.substr(at_, what.size()) == what; }
    void skip(std::size_t n) {
        for (; n > 0 && at_ < xml_.size(); --n) line_ += xml_[at_++] == '\n';
    }
    void skip_blanks() {
        while (at_ < xml_.size() && blank(xml_[at_])) skip(1);
    }
    bool fail(std::string message) {
        if (!problem_) problem_ = Problem{line_, false, std::move(message)};
        return false;
    }

    bool check_characters() {
        int line = 1;
        for (std::size_t i = 0; i < xml_.size();) {
            auto const c = static_cast<unsigned char>(xml_[i]);
            std::size_t const length = utf8_length(xml_, i);
            if (c == 0)
                problem_ = Problem{line, false, "a NUL byte; a configuration is text"};
            else if ((c < ' ' && !blank(xml_[i])) || c == 0x7f)
                problem_ = Problem{line, false, "a control character (" + std::to_string(c) + ")"};
            else if (length == 0)
                problem_ = Problem{line, false, "bytes that aren't UTF-8; save the file as UTF-8"};
            if (problem_) return false;
            line += c == '\n';
            i += length;
        }
        return true;
    }

    // Moves behind `end`.
    bool skip_to(std::string_view end, char const* what) {
        std::size_t const found = xml_.find(end, at_);
        if (found == std::string_view::npos) return fail(std::string(what) + " isn't closed (" + std::string(end) + ")");
        skip(found + end.size() - at_);
        return true;
    }

    bool declaration() {
        std::size_t const begin = at_;
        if (!skip_to("?>", "<?xml")) return false;
        std::string text(xml_.substr(begin, at_ - begin));
        std::transform(text.begin(), text.end(), text.begin(),
                       [](char c) { return c == '\'' ? '"' : static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
        std::size_t const encoding = text.find("encoding");
        if (encoding == std::string::npos || text.find("\"utf-8\"", encoding) != std::string::npos ||
            text.find("\"us-ascii\"", encoding) != std::string::npos)
            return true;
        return fail("an encoding other than UTF-8; save the file as UTF-8");
    }

    void markup() {
        if (starts("<!--")) {
            skip(4);
            skip_to("-->", "a comment");
        } else if (starts("<![CDATA[")) {
            fail("CDATA isn't read; values stand in attributes");
        } else if (starts("<!")) {
            fail("DOCTYPE and entity declarations aren't read; take them out");
        } else if (starts("<?")) {
            fail("processing instructions (<? ... ?>) aren't read; <?xml ...?> stands only at the very start");
        } else if (starts("</")) {
            end_tag();
        } else {
            start_tag();
        }
    }

    std::string_view name() {
        std::size_t const begin = at_;
        if (at_ < xml_.size() && name_start(xml_[at_])) {
            while (at_ < xml_.size() && name_char(xml_[at_])) skip(1);
        }
        if (at_ == begin)
            fail("a name was expected here; write &lt; for the character <");
        else if (at_ - begin > 128)
            fail("a name of more than 128 bytes");
        return xml_.substr(begin, at_ - begin);
    }

    void end_tag() {
        skip(2);
        std::string_view const closed = name();
        skip_blanks();
        if (problem_) return;
        if (at_ == xml_.size() || xml_[at_] != '>')
            fail("</" + std::string(closed) + " isn't closed (>)");
        else if (open_.empty())
            fail("</" + std::string(closed) + "> closes nothing");
        else if (open_.back().name != closed) {
            fail("</" + std::string(closed) + "> where <" + std::string(open_.back().name) + "> of line " +
                 std::to_string(open_.back().line) + " must be closed first");
        } else {
            open_.pop_back();
        }
        skip(1);
    }

    void start_tag() {
        int const line = line_;
        skip(1);
        std::string_view const opened = name();
        if (problem_) return;
        if (open_.empty() && elements_ > 0)
            fail("a second element <" + std::string(opened) + "> beside the first; a file holds one <cluster>");
        if (++elements_ > config_max_elements) fail("more than " + std::to_string(config_max_elements) + " elements");
        if (open_.size() + 1 > static_cast<std::size_t>(config_max_depth))
            fail("elements nested more than " + std::to_string(config_max_depth) + " deep");
        std::vector<std::string_view> seen;
        while (!problem_) {
            bool const apart = at_ < xml_.size() && blank(xml_[at_]);
            skip_blanks();
            if (at_ == xml_.size())
                fail("<" + std::string(opened) + " isn't closed (>)");
            else if (xml_[at_] == '>') {
                skip(1);
                open_.push_back({opened, line});
                return;
            } else if (starts("/>"))
                return skip(2);
            else if (!apart)
                fail("<" + std::string(opened) + ">: a blank was expected before the next attribute");
            else
                attribute(opened, seen);
        }
    }

    void attribute(std::string_view of, std::vector<std::string_view>& seen) {
        std::string_view const attribute_name = name();
        if (problem_) return;
        std::string const what = "<" + std::string(of) + ">: attribute '" + std::string(attribute_name) + "'";
        if (std::find(seen.begin(), seen.end(), attribute_name) != seen.end()) {
            fail(what + " is given twice");
            return;
        }
        if (seen.size() == config_max_attributes) {
            fail("<" + std::string(of) + ">: more than " + std::to_string(config_max_attributes) + " attributes");
            return;
        }
        seen.push_back(attribute_name);
        skip_blanks();
        if (at_ < xml_.size() && xml_[at_] == '=')
            skip(1);
        else
            fail(what + " has no value; write " + std::string(attribute_name) + "=\"...\"");
        skip_blanks();
        char const quote = at_ < xml_.size() ? xml_[at_] : '\0';
        if (quote != '"' && quote != '\'') fail(what + ": the value must stand in quotes");
        skip(1);
        std::size_t const begin = at_;
        int const line = line_;
        while (!problem_) {
            if (at_ == xml_.size() || xml_[at_] == '<') {
                line_ = line;  // the line where the quote was opened is the one to look at
                fail(what +
                     (at_ == xml_.size() ? " has a quote that isn't closed" : " holds < (write &lt;), or its quote isn't closed"));
            } else if (at_ - begin > config_max_attribute) {
                fail(what + " has more than " + std::to_string(config_max_attribute) + " bytes");
            } else if (xml_[at_] == quote) {
                return skip(1);
            } else if (xml_[at_] == '&') {
                reference();
            } else {
                skip(1);
            }
        }
    }

    void reference() {
        std::string_view const rest = xml_.substr(at_ + 1, 12);
        std::size_t const end = rest.find(';');
        if (end == std::string_view::npos || !reference_allowed(rest.substr(0, end))) {
            fail(
                "& that isn't one of &lt; &gt; &amp; &quot; &apos; or the number of a character; write &amp; for the character "
                "itself");
            return;
        }
        skip(end + 2);
    }

    std::string_view xml_;
    std::size_t at_ = 0;
    int line_ = 1;
    std::size_t elements_ = 0;
    std::vector<Open> open_;
    std::optional<Problem> problem_;
};

}  // namespace

std::optional<Problem> scan_xml(std::string_view xml) {
    return Scan(xml).run();
}

}  // namespace clusterd
