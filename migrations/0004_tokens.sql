-- Tokens of the intake's clients.

create table holdfast.tokens (
    id         bigint      generated always as identity,
    name       text        not null,
    hash       bytea       not null,
    scopes     text[]      not null,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz,
    constraint tokens_pkey primary key (id),
    constraint hash_is_sha256 check (octet_length(hash) = 32),
    constraint name_is_short check (octet_length(name) between 1 and 128),
    constraint scopes_are_known check (cardinality(scopes) > 0 and scopes <@ array['submit', 'read', 'operate'])
);
create unique index tokens_name on holdfast.tokens (name) where revoked_at is null;

comment on table holdfast.tokens is
    'What clients of the intake prove themselves with. Rows stay when a token is revoked: once there is one, the intake '
    'asks for tokens on loopback too.';
comment on column holdfast.tokens.id is 'Its number, which is a part of the token.';
comment on column holdfast.tokens.name is 'Who has it; unique among those that are not revoked.';
comment on column holdfast.tokens.hash is
    'SHA-256 of its secret. The secret is 256 random bits: there is nothing to guess that a slow hash would keep from being '
    'guessed, and each request has to be checked.';
comment on column holdfast.tokens.scopes is 'What it is good for: submit, read, operate.';
comment on column holdfast.tokens.created_at is 'When it was made.';
comment on column holdfast.tokens.expires_at is 'Until when it is good; null: until it is revoked.';
comment on column holdfast.tokens.revoked_at is 'Since when it is good for nothing; null: it is not revoked.';
