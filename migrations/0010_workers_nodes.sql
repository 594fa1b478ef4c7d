-- What each worker sees of the lock nodes: a cut between one worker and a node is seen by nobody else.

alter table holdfast.workers add column nodes_without_vote text[] not null default '{}';
comment on column holdfast.workers.nodes_without_vote is
    'The lock nodes that have no vote for this worker, as of its last heartbeat: it is not connected to them, or they are in quarantine.';
