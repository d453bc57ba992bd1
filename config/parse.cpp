// See parse.hpp: scan, tinyxml2, then the builder.
#include "config/parse.hpp"

#include "config/builder.hpp"
#include "config/scan.hpp"

namespace clusterd {

ParseResult parse_config(std::string_view xml, std::string const& file_name) {
    ParseResult result;
    if (auto problem = scan_xml(xml)) {
        result.problems.push_back(std::move(*problem));
        return result;
    }
    tinyxml2::XMLDocument document;
    if (document.Parse(xml.data(), xml.size()) != tinyxml2::XML_SUCCESS || document.RootElement() == nullptr) {
        result.problems.push_back(
            {document.ErrorLineNum(), false, std::string("this isn't well-formed XML (") + document.ErrorName() + ")"});
        return result;
    }
    ProblemList problems;
    Spec spec = SpecBuilder(file_name, problems).build(*document.RootElement());
    if (!problems.any_error()) result.spec = std::move(spec);
    result.problems = problems.take();
    return result;
}

}  // namespace clusterd
