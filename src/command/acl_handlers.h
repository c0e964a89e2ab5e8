// Handlers of ACL, whose rows are in acl_commands.cc.
#pragma once

#include "command/context.h"

namespace fluxkv::command {

// acl_handlers.cc
void AclCat(Context& c);
void AclGenPass(Context& c);
void AclGetUser(Context& c);
void AclHelp(Context& c);
void AclList(Context& c);
void AclUsers(Context& c);
void AclWhoAmI(Context& c);

}  // namespace fluxkv::command
