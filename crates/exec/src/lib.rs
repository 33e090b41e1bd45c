//! What runs tasks on a machine: processes in sessions of their own, sandboxes, and, as features, a fetcher and Docker containers.
