output "shop" {
  description = "What to do after the first apply of shop."
  value       = module.shop.next_command
}

output "news" {
  description = "What to do after the first apply of news."
  value       = module.news.next_command
}
