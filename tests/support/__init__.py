"""What several test rooms share: oracles and checks that do not ship."""
