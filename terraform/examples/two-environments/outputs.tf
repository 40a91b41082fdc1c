output "dev" {
  description = "What to do after the first apply of dev."
  value       = module.dev.next_command
}

output "staging" {
  description = "What to do after the first apply of staging."
  value       = module.staging.next_command
}
