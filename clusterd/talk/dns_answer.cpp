// See dns_answer.hpp.
#include "clusterd/talk/dns_answer.hpp"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>
#include <strings.h>
#include <cstring>

namespace clusterd {
namespace {

constexpr std::size_t max_records = 256;

ns_type type_of(DnsQuestion const& question) {
    return question.txt ? ns_t_txt : question.v6 ? ns_t_aaaa : ns_t_a;
}

// "www.example.com." and "www.example.com" are the same.
std::string_view without_dot(std::string_view name) {
    if (name.ends_with('.')) name.remove_suffix(1);
    return name;
}

void put16(std::string& to, unsigned value) {
    to += static_cast<char>(value >> 8);
    to += static_cast<char>(value & 0xff);
}

}  // namespace

Result<std::string> write_dns_question(DnsQuestion const& question) {
    unsigned char name[NS_MAXCDNAME];
    std::string const text(without_dot(question.name));
    if (text.empty() || ns_name_pton(text.c_str(), name, sizeof name) < 0)
        return Error{"'" + question.name + "' is no name that DNS could be asked for"};
    std::size_t length = 1;
    while (name[length - 1] != 0) length += name[length - 1] + 1U;
    std::string out;
    put16(out, question.id);
    put16(out, 0x0100);  // a query, recursion desired
    put16(out, 1);
    out.append(6, '\0');
    out.append(reinterpret_cast<char const*>(name), length);
    put16(out, type_of(question));
    put16(out, ns_c_in);
    return out;
}

Result<DnsAnswer> read_dns_answer(std::string_view bytes, DnsQuestion const& question) {
    Error const not_dns{"what came is no DNS message"};
    ns_msg message;
    if (bytes.size() > NS_MAXMSG || ns_initparse(reinterpret_cast<unsigned char const*>(bytes.data()), static_cast<int>(bytes.size()), &message) != 0)
        return not_dns;
    DnsAnswer answer;
    answer.code = static_cast<int>(ns_msg_getflag(message, ns_f_rcode));
    answer.cut = ns_msg_getflag(message, ns_f_tc) != 0;
    ns_type const wanted = type_of(question);
    answer.ours = ns_msg_id(message) == question.id && ns_msg_getflag(message, ns_f_qr) != 0;
    ns_rr record;
    if (ns_msg_count(message, ns_s_qd) > 0) {  // some servers leave it out of an error
        if (ns_parserr(&message, ns_s_qd, 0, &record) != 0) return not_dns;
        std::string const asked(without_dot(question.name));
        answer.ours = answer.ours && ns_rr_type(record) == wanted && strcasecmp(ns_rr_name(record), asked.c_str()) == 0;
    }
    for (int i = 0; i < ns_msg_count(message, ns_s_an) && answer.addresses.size() + answer.texts.size() < max_records; ++i) {
        if (ns_parserr(&message, ns_s_an, i, &record) != 0) {
            if (answer.cut) break;
            return not_dns;
        }
        if (ns_rr_type(record) != wanted) continue;  // CNAMEs on the way
        if (question.txt) {
            std::size_t const room = ns_rr_rdlen(record), size = room > 0 ? *ns_rr_rdata(record) : 0U;
            if (room == 0 || size >= room) return not_dns;
            answer.texts.emplace_back(reinterpret_cast<char const*>(ns_rr_rdata(record)) + 1, size);
            continue;
        }
        if (ns_rr_rdlen(record) != (question.v6 ? 16 : 4)) continue;
        char text[INET6_ADDRSTRLEN];
        if (inet_ntop(question.v6 ? AF_INET6 : AF_INET, ns_rr_rdata(record), text, sizeof text)) answer.addresses.emplace_back(text);
    }
    return answer;
}

std::string dns_code(int code) {
    switch (code) {
        case ns_r_noerror: return "no error";
        case ns_r_formerr: return "it didn't understand the question (FORMERR)";
        case ns_r_servfail: return "it failed (SERVFAIL)";
        case ns_r_nxdomain: return "there is no such name (NXDOMAIN)";
        case ns_r_notimpl: return "it doesn't know such questions (NOTIMP)";
        case ns_r_refused: return "it refuses to answer (REFUSED)";
        default: return "error " + std::to_string(code);
    }
}

}  // namespace clusterd
