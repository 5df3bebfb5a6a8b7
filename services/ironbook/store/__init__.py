# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration store: who is primary of a shard, in which epoch, and who is in sync with it.

DynamoDB or etcd does the agreeing; what is here writes conditionally and believes nothing that it cannot check.
`items` says what may stand in the store, `client` how it is read and written, `dynamodb` and `etcd` are the two stores,
`lease` is for whoever must be alone at something, `settings` opens a store by its configuration, and
`command` is `ironbook store`.
"""
