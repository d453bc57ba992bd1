// See builder.hpp: what is to be said of <print-queue>, beyond what each attribute may be.
#include "config/builder.hpp"
#include "config/printing.hpp"

namespace clusterd {

void SpecBuilder::check_print_queue(ElementAttributes const& given, ResourceSpec const& made) {
    bool const named = given.given("queue");
    std::string const queue = named ? made.attributes.at("queue") : made.name;
    if (!is_queue_name(queue))
        problems_.error(given.line(named ? "queue" : "name"), given.what() + ": " + quoted(queue) + " can't be a queue's name in CUPS: no blanks, /, #, quotes or commas; at most 127 characters");
    auto const [other, fresh] = print_queues_.insert({queue, Named{given.what(), given.line(named ? "queue" : "name")}});
    if (!fresh) problems_.error(given.line(named ? "queue" : "name"), given.what() + ": the queue " + quoted(queue) + " is also that of " + other->second.what + " at " + at(other->second.line));
    if (given.given("device") && !is_device_uri(made.attributes.at("device")))
        problems_.error(given.line("device"), given.what() + ": attribute 'device': " + quoted(made.attributes.at("device")) + " is no device: a URI such as ipp://10.0.0.20/ipp/print or socket://10.0.0.20:9100 is expected (lpinfo -v lists those in reach)");
    if (given.given("ppd") && given.given("model")) problems_.error(given.line("ppd"), given.what() + ": either 'model' or 'ppd', not both");
}

}  // namespace clusterd
