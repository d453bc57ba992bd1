// The pages for people say what the table of types.hpp says: docs/types/NAME.md for each resource type, docs/agents.md for the health
// agents, docs/configuration.md for the other elements. A change of the table that a page doesn't follow fails here.
#include "config/types.hpp"
#include "files.hpp"

#include <gtest/gtest.h>
#include <map>
#include <set>

namespace clusterd {
namespace {

namespace fs = std::filesystem;

fs::path const docs = fs::path(SOURCE_DIR) / "docs";

std::vector<std::string> lines_of(std::string const& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

std::string trimmed(std::string const& text) {
    std::size_t const begin = text.find_first_not_of(' ');
    return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

// "| a | b |" -> a, b. A bar within a cell is written \|.
std::vector<std::string> cells_of(std::string const& line) {
    std::vector<std::string> cells;
    std::string cell;
    for (std::size_t i = 1; i < line.size(); ++i) {
        if (line[i] == '|' && line[i - 1] != '\\') {
            cells.push_back(trimmed(cell));
            cell.clear();
        } else {
            cell += line[i];
        }
    }
    return cells;
}

using Rows = std::map<std::string, std::string>;  // attribute -> its default's cell

// The tables whose first column is headed `attribute`, in their order.
std::vector<Rows> attribute_tables(std::string const& text) {
    std::vector<Rows> tables;
    bool in_table = false;
    for (std::string const& line : lines_of(text)) {
        if (line.empty() || line[0] != '|') {
            in_table = false;
            continue;
        }
        auto const cells = cells_of(line);
        if (cells.size() >= 2 && cells[0] == "attribute") {
            EXPECT_EQ(cells[1], "default") << "the second column of a table of attributes";
            tables.emplace_back();
            in_table = true;
        } else if (in_table && cells.size() >= 2 && cells[0].starts_with('`')) {
            EXPECT_TRUE(tables.back().emplace(cells[0], cells[1]).second) << cells[0] << " stands twice in a table";
        }
    }
    return tables;
}

bool says(std::string const& cell, Attribute const& row) {
    if (row.required) return cell.find("required") != std::string::npos;
    if (row.default_value.empty()) return cell.empty() || cell == "-" || cell == "none" || cell == "the profile's";
    return cell == "`" + std::string(row.default_value) + "`";
}

// Every attribute with its default, and no other.
void expect_table(Rows const& rows, std::vector<Attribute> const& attributes, std::string const& where) {
    std::set<std::string> known;
    for (Attribute const& row : attributes) {
        std::string const name = "`" + std::string(row.name) + "`";
        known.insert(name);
        auto const it = rows.find(name);
        if (it == rows.end()) {
            ADD_FAILURE() << where << ": attribute " << name << " is missing in the table";
            continue;
        }
        EXPECT_TRUE(says(it->second, row)) << where << ": " << name << " has the default \"" << it->second << "\", in the table of types it is \""
                                           << (row.required ? "required" : row.default_value) << "\"";
    }
    for (auto const& [name, ignored] : rows) EXPECT_EQ(known.count(name), 1u) << where << ": " << name << " isn't an attribute";
}

// From the title on to the next one of the same depth or higher.
std::string section(std::string const& text, std::string const& title) {
    std::size_t const depth = title.find(' ');
    std::string found;
    bool inside = false, code = false;
    for (std::string const& line : lines_of(text)) {
        if (line.starts_with("```")) code = !code;
        std::size_t const hashes = code ? 0 : line.find_first_not_of('#');
        if (!code && hashes != std::string::npos && hashes > 0 && line[hashes] == ' ' && hashes <= depth) inside = line == title;
        if (inside) found += line + "\n";
    }
    return found;
}

std::vector<std::string> examples_in(std::string const& text) {
    std::vector<std::string> blocks;
    bool inside = false;
    for (std::string const& line : lines_of(text)) {
        if (line.starts_with("```")) {
            inside = !inside && line == "```xml";
            if (inside) blocks.emplace_back();
        } else if (inside) {
            blocks.back() += line + "\n";
        }
    }
    return blocks;
}

// What is wrong with a page's example, made a whole configuration: of one that is less than a group, not that what it depends on is
// missing.
std::string errors_of(std::string const& example) {
    bool const whole = example.find("<group") != std::string::npos;
    auto const result = parse_config(example.starts_with("<cluster") ? example : whole ? test::cluster(example) : test::group(example), "page");
    std::string errors;
    for (Problem const& problem : result.problems)
        if (!problem.warning && (whole || problem.message.find("isn't a resource of group") == std::string::npos)) errors += format(problem, "page") + "\n";
    return errors;
}

class TypePage : public testing::TestWithParam<std::string> {
protected:
    TypeInfo const& type() const { return *find_type(GetParam()); }
    fs::path page() const { return docs / "types" / (GetParam() + ".md"); }
};

std::vector<std::string> names_of_types() {
    std::vector<std::string> names;
    for (TypeInfo const& type : resource_types()) names.emplace_back(type.name);
    return names;
}

TEST_P(TypePage, HasTheTypesNameAndEveryAttributeWithItsDefault) {
    ASSERT_TRUE(fs::exists(page())) << "a resource type has a page: " << page();
    std::string const text = test::read(page());
    EXPECT_EQ(lines_of(text).front(), "# " + GetParam());
    auto const tables = attribute_tables(text);
    ASSERT_FALSE(tables.empty()) << "a table headed | attribute | default | ... |";
    expect_table(tables.front(), type().attributes, page());
}

TEST_P(TypePage, ShowsAnExampleThatIsValid) {
    int shown = 0;
    for (std::string const& example : examples_in(test::read(page()))) {
        if (example.find("<" + GetParam() + " ") == std::string::npos) continue;
        ++shown;
        EXPECT_EQ(errors_of(example), "") << example;
    }
    EXPECT_GT(shown, 0) << "an example (```xml) with the type in it";
}

TEST_P(TypePage, IsLinkedFromConfiguration) {
    std::string const link = "types/" + GetParam() + ".md)";
    EXPECT_NE(test::read(docs / "configuration.md").find(link), std::string::npos) << "docs/configuration.md lists the types' pages: (" << link;
}

INSTANTIATE_TEST_SUITE_P(All, TypePage, testing::ValuesIn(names_of_types()), [](auto const& each) {
    std::string name = each.param;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
});

TEST(Pages, OfTypesAreOfTypesThatExist) {
    for (auto const& file : fs::directory_iterator(docs / "types"))
        EXPECT_NE(find_type(file.path().stem().string()), nullptr) << file.path() << " is the page of no type";
}

TEST(Pages, OfParametersOfAnOcfAgentHaveThem) {
    auto const tables = attribute_tables(test::read(docs / "types/ocf.md"));
    ASSERT_EQ(tables.size(), 2u);
    expect_table(tables[1], element("param").attributes, "docs/types/ocf.md");
}

TEST(Pages, AgentsHaveASectionEachWithEveryAttributeAndAnExample) {
    std::string const text = test::read(docs / "agents.md");
    for (TypeInfo const& agent : agents()) {
        std::string const name(agent.name), part = section(text, "## " + name);
        ASSERT_FALSE(part.empty()) << "docs/agents.md has a section for each agent: ## " << name;
        auto const tables = attribute_tables(part);
        ASSERT_EQ(tables.size(), 1u) << name;
        expect_table(tables[0], agent.attributes, "docs/agents.md, " + name);
        auto const examples = examples_in(part);
        ASSERT_FALSE(examples.empty()) << name;
        for (std::string const& example : examples)
            EXPECT_EQ(test::told(parse_config(test::group("<process name='p' command='x'>" + example + "</process>"), "page")), "") << example;
    }
}

TEST(Pages, ConfigurationHasEveryOtherElement) {
    std::string const text = test::read(docs / "configuration.md");
    for (ElementInfo const& info : elements()) {
        if (info.name == "param") continue;  // on its type's page
        std::string const title = info.name == "resource" ? "### What every resource takes" : "### `<" + std::string(info.name) + ">`";
        auto const tables = attribute_tables(section(text, title));
        ASSERT_FALSE(tables.empty()) << "docs/configuration.md: " << title;
        expect_table(tables.front(), info.attributes, "docs/configuration.md, " + title);
    }
}

TEST(Pages, LinkToFilesThatExist) {
    std::vector<fs::path> files{fs::path(SOURCE_DIR) / "README.md"};
    for (auto const& entry : fs::recursive_directory_iterator(docs))
        if (entry.path().extension() == ".md") files.push_back(entry.path());
    for (fs::path const& file : files) {
        std::string const text = test::read(file);
        for (std::size_t at = text.find("]("); at != std::string::npos; at = text.find("](", at + 1)) {
            std::string const to = text.substr(at + 2, text.find_first_of("#) ", at + 2) - at - 2);
            if (to.empty() || to.find("://") != std::string::npos) continue;
            EXPECT_TRUE(fs::exists(file.parent_path() / to)) << file << " links to " << to;
        }
    }
}

}  // namespace
}  // namespace clusterd
