output "next_command" {
  description = "What to do after the first apply."
  value       = module.customerio.next_command
}
