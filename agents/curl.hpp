// libcurl as health agents use it: http, certificate. Owners of its handles, what every request sets, and what its errors mean.
#pragma once

#include "agents/agent.hpp"

#include <curl/curl.h>
#include <memory>
#include <string>

namespace clusterd {

struct FreeCurl {
    void operator()(CURL* c) const { curl_easy_cleanup(c); }
    void operator()(curl_slist* l) const { curl_slist_free_all(l); }
};
using Easy = std::unique_ptr<CURL, FreeCurl>;
using List = std::unique_ptr<curl_slist, FreeCurl>;
void append(List& list, std::string const& line);

void init_curl();  // before anything else; any number of times, from any thread

// `connect`: this address instead of the URL's name, or empty. `no_socket` gets the reason where this node has no socket to ask with;
// `error` what curl says. All of them must outlive the request.
void set_up_fetch(CURL* easy, std::string const& url, std::string const& connect, List& connect_to, int& no_socket, char* error);

// What a failed request says of the server: failed; unknown where it couldn't even be asked.
CheckOutcome fetch_failed(CURL* easy, CURLcode code, std::string const& url, int no_socket, char const* error);

}  // namespace clusterd
