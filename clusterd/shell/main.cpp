// clusterd-worker: loads what may refuse the start, makes the Worker and runs its loop. Started by the guard (clusterd) only.
//
// Exit: 0 clean leave, 1 start refused, 2 usage; anything else is a crash that the guard answers with a new worker.
#include "clusterd/shell/worker.hpp"
#include "clusterd/wire/config_hash.hpp"
#include "config/parse.hpp"
#include "config/types.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <malloc.h>
#include <sched.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace clusterd {
namespace {

[[noreturn]] void refuse(std::string const& why) {
    std::fprintf(stderr, "clusterd: start refused: %s\n", why.c_str());
    std::exit(1);
}

int inherited_fd(char const* variable) {
    char const* const text = getenv(variable);
    if (!text || *text == '\0') refuse(std::string("clusterd-worker is started by clusterd, not by hand (") + variable + " is not set)");
    return std::atoi(text);
}

// At most one byte more than is allowed, whatever it is (a device, a fifo): parse_config then says that it is too large.
Result<std::string> read_file(std::string const& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return Error{path + " can't be read: is it there, and readable?"};
    std::string text(config_max_bytes + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    return text;
}

// The file seeds the first start; once a decision is stored, its configuration counts and a bad file is only worth a warning.
ConfigPtr load_seed(WorkerOptions const& options, DecisionPtr const& stored, std::vector<std::string>& warnings) {
    auto const problem = [&](std::string const& text) {
        if (!stored) refuse(text);
        warnings.push_back(text + " (ignored: the committed configuration counts)");
        return stored->config;
    };
    auto const xml = read_file(options.config);
    if (!xml) return problem(xml.error());
    ParseResult const parsed = parse_config(*xml, options.config);
    for (auto const& p : parsed.problems)
        if (p.warning) warnings.push_back(format(p, options.config));
    auto config = make_config(*xml, options.config);
    if (!config) return problem("the configuration is not valid:\n" + config.error());
    if (stored && stored->config && stored->config->hash != (*config)->hash)
        warnings.push_back(options.config + " differs from the committed configuration, which counts (clusterctl show config prints it)");
    return *config;
}

// Never fatal: each thing that isn't granted is a warning. First of all: one that follows a dead worker has until the permit's end, also
// on a busy machine.
void claim_promptness(std::vector<std::string>& warnings, bool quiet) {
    mallopt(M_ARENA_MAX, 1);
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0 && !quiet) warnings.push_back("memory can't be locked (mlockall): under memory pressure the daemon may be late");
    rlimit const limit{200'000, 200'000};  // us of real-time CPU without a pause: a bug must not take the machine along
    (void)setrlimit(RLIMIT_RTTIME, &limit);
    sched_param const priority{.sched_priority = 10};
    if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &priority) != 0 && !quiet)
        warnings.push_back("real-time scheduling (SCHED_RR) is not granted: under load the daemon may be late");
}

// The disk's and the store's threads as well: a cycle must not wait for others' work, and a killed worker is gone only when each of
// its threads has run once more.
void claim_promptness_of_threads() {
    if ((sched_getscheduler(0) & ~SCHED_RESET_ON_FORK) != SCHED_RR) return;
    sched_param const priority{.sched_priority = 10};
    for (auto const& task : std::filesystem::directory_iterator("/proc/self/task"))
        (void)sched_setscheduler(std::atoi(task.path().filename().c_str()), SCHED_RR | SCHED_RESET_ON_FORK, &priority);
}

void refuse_what_needs_root(Spec const& spec) {
    if (geteuid() == 0) return;
    for (auto const& g : spec.groups)
        for (auto const& r : g.resources) {
            TypeInfo const* type = find_type(r.type);
            if (type && type->needs_root) refuse("resource " + r.name + " is of type " + r.type + ", which needs root; start clusterd as root or take it out");
        }
}

std::uint64_t random_number() {
    std::uint64_t n = 0;
    while (n == 0) randombytes_buf(&n, sizeof n);
    return n;
}

bool resumes() {
    char const* const wanted = getenv("CLUSTERD_RESUME");
    return wanted && std::string_view(wanted) == "1";
}

std::optional<ResumeState> resume_of(guard::Shared const* shared, NodeIndex self) {
    ResumeState state;
    if (!resumes() || !shared) return std::nullopt;
    if (shared->read_resume(&state, sizeof state) != sizeof state) return std::nullopt;
    if (state.version != ResumeState::current_version || state.self != self || state.incarnation == 0) return std::nullopt;
    return state;
}

int run(int argc, char** argv) {
    auto const options = parse_worker_options(argc, argv);
    if (!options) {
        std::fprintf(stderr, "clusterd: %s\n", options.error().c_str());
        return 2;
    }
    WorkerStart start;
    claim_promptness(start.warnings, resumes());
    if (sodium_init() < 0) refuse("libsodium can't be initialised");
    start.options = *options;
    start.guard_fd = inherited_fd("CLUSTERD_GUARD_FD");
    start.shared = guard::map_shared_memory(inherited_fd("CLUSTERD_SHARED_FD"));
    auto const key = load_key(options->key);
    if (!key) refuse(key.error());
    start.key = *key;

    auto const loop = make_loop();
    Worker* worker = nullptr;
    auto store = StateStore::open({.dir = options->state_dir,
                                   .parse_config = [](std::string xml) { return make_config(std::move(xml), "the stored configuration"); },
                                   .on_persisted = [&worker](event::Persisted const& e) { if (worker) worker->persisted(e); }},
                                  *loop);
    if (!store) refuse(store.error());
    auto const& loaded = (*store)->loaded();
    start.warnings.insert(start.warnings.end(), loaded.warnings.begin(), loaded.warnings.end());

    StartState& node = start.node;
    node.seed = load_seed(*options, loaded.decision, start.warnings);
    Spec const& spec = (loaded.decision ? loaded.decision->config : node.seed)->spec;
    bool found = false;
    for (auto n : {NodeIndex::a, NodeIndex::b})
        if (spec.nodes[at(n)].name == options->node) node.self = n, found = true;
    if (!found) refuse("--node " + options->node + ": there is no such <node> in " + (loaded.decision ? "the committed configuration" : options->config) + "; the nodes are " + spec.nodes[0].name + " and " + spec.nodes[1].name);
    refuse_what_needs_root(spec);
    node.resume = resume_of(start.shared, node.self);
    node.incarnation = node.resume ? node.resume->incarnation : random_number();
    node.terms = loaded.terms;
    node.stored = loaded.decision;
    node.store = loaded.id;
    node.cluster = loaded.cluster;
    randombytes_buf(node.fresh_cluster.data(), node.fresh_cluster.size());
    start.store = std::move(*store);

    Worker made(*loop, std::move(start));
    worker = &made;
    if (auto const opened = made.open(); !opened) refuse(opened.error());
    claim_promptness_of_threads();
    made.start();
    loop->run();
    worker = nullptr;
    return 0;
}

}  // namespace
}  // namespace clusterd

int main(int argc, char** argv) {
    try {
        return clusterd::run(argc, argv);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "clusterd-worker: %s\n", e.what());
        return 70;
    }
}
