// The agent `postgres`: does a PostgreSQL server take clients, and answer a query?
//
// Attributes: address, port, user, password-file, database, query. Without a user it goes as far as pg_isready(1): a server that wants to
// know who asks is alive. Starting up, recovering or shutting down is failed, as clients see it. A login that is refused, or that this
// agent can't do, is unknown: it says nothing of the server's health. No slot left is degraded: a restart would end all who have one.
#pragma once

#include "agents/agent.hpp"

namespace clusterd {

AgentPtr make_postgres_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);

}  // namespace clusterd
